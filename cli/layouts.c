#include "cli/layouts.h"

#include <string.h>

static const struct layout table[] = {
	{ .name = "movielens",
	  .prose = "MovieLens and MovieTweetings (.dat or CSV): every rating is a \"Rated\"; items get genres and year",
	  .events = { .columns = "user_id,movie_id,rating,timestamp", .event_type = "Rated" },
	  .catalog = { .columns = "movie_id,title,genres",
		       .separator = "|",
		       .year_attribute = "year",
		       .nothing = "(no genres listed)" } },
	{ .name = "online-retail",
	  .prose = "UCI Online Retail I and II: a row is a \"Purchased\", with a quantity below 0 a \"Returned\"",
	  .events = { .columns = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
		      .event_type = "Purchased",
		      .time_format = "%m/%d/%Y %H:%M",
		      .negative_column = "Quantity",
		      .negative_type = "Returned",
		      .map = { { "purchase", "Purchased" }, { "return", "Returned" }, { "adjust", "Adjusted" } } },
	  .catalog = { .columns = "stock_code,title,last_price,is_product" } },
	{ .name = "yoochoose",
	  .prose = "RecSys Challenge 2015, clicks: sessions are the users, every click is a \"Viewed\"",
	  .events = { .columns = "session_id,timestamp,item_id,category", .event_type = "Viewed" },
	  .catalog = { .columns = "item_id,category" } },
	{ .name = "taobao",
	  .prose = "UserBehavior.csv: pv, cart, fav, buy are \"Viewed\", \"Added to Cart\", \"Favourited\", "
		   "\"Purchased\"",
	  .events = { .columns = "user_id,item_id,category_id,behavior,timestamp",
		      .map = { { "pv", "Viewed" },
			       { "cart", "Added to Cart" },
			       { "fav", "Favourited" },
			       { "buy", "Purchased" } } },
	  .catalog = { .columns = "item_id,category_id" } },
};

const struct layout *layouts(size_t *count)
{
	*count = sizeof table / sizeof *table;
	return table;
}

const struct layout *layout_find(const char *name)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}
