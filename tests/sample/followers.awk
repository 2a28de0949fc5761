# How many of those who watched one series also watched each of the given ones, and how much more each was watched lately.
# Reads the sample's series events twice (the same file named twice). -v anchor=id -v items="id id .." -v from=YYYY-MM-DD (lately begins)
# Writes: the number of people who watched the anchor, then for each item the share of them who watched it in percent,
# and how many times its average before it was watched a day since `from`.
BEGIN {
	FS = ","
	item_count = split(items, item, " ")
	for (i = 1; i <= item_count; i++)
		wanted[item[i]] = i
}

NR == FNR {
	if ($3 == anchor && !watched[$2]++)
		people++
	date = substr($5, 1, 10)
	if (FNR > 1 && !days[date]++) {
		if (date < from)
			days_before++
		else
			days_lately++
	}
	next
}

$3 in wanted {
	i = wanted[$3]
	if (substr($5, 1, 10) < from)
		before[i]++
	else
		lately[i]++
	if (watched[$2] && !seen[$2, i]++)
		both[i]++
}

END {
	print people + 0
	for (i = 1; i <= item_count; i++)
		printf "%s %.0f %.1f\n", item[i], people ? 100 * both[i] / people : 0, rise(i)
}

function rise(i) {
	if (!before[i] || !days_lately)
		return 0
	return (lately[i] / days_lately) / (before[i] / days_before)
}
