# How often soccer shoes and each given product were put into the cart together: around today's day of the year, and half a year away.
# Reads the sample's shop events. -v anchors="id id .." -v items="id id .." -v today=YYYY-MM-DD
# Writes: the number of such carts around today, then for each item its share of them in percent, and its share half a year away.
BEGIN {
	FS = ","
	anchor_count = split(anchors, list, " ")
	for (i = 1; i <= anchor_count; i++)
		is_anchor[list[i]] = 1
	item_count = split(items, item, " ")
	now = day(today)
}

# Good enough to tell weeks apart.
function day(date) {
	return (substr(date, 6, 2) - 1) * 30.4 + substr(date, 9, 2)
}

function distance(date,   d) {
	d = day(date) - now
	if (d < 0)
		d = -d
	return d > 182 ? 365 - d : d
}

$4 == "Added to Cart" {
	cart = $2 " " substr($5, 1, 10)
	has[cart " " $3] = 1
	if (is_anchor[$3])
		carts[cart] = distance($5)
}

END {
	for (cart in carts) {
		season = carts[cart] <= 30 ? "now" : carts[cart] >= 152 ? "then" : ""
		count[season]++
		for (i = 1; i <= item_count; i++)
			if ((cart " " item[i]) in has)
				hits[season, i]++
	}
	print count["now"] + 0
	for (i = 1; i <= item_count; i++)
		printf "%s %.0f %.0f\n", item[i], percent("now", i), percent("then", i)
}

function percent(season, i) {
	return count[season] ? 100 * hits[season, i] / count[season] : 0
}
