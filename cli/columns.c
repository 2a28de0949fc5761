#include "cli/columns.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct role_names {
	const char *name, *flag;
	const char *const *columns; /* folded, likeliest first, NULL at the end */
};

#define NAMES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct role_names roles[] = {
	[ROLE_USER] = { "user", "--user",
			NAMES("userid", "user", "customerid", "customer", "visitorid", "visitor", "memberid", "member",
			      "accountid", "clientid", "personid", "uid", "sessionid", "session", "username") },
	[ROLE_ITEM] = { "item", "--item",
			NAMES("itemid", "item", "productid", "product", "stockcode", "sku", "articleid", "article",
			      "movieid", "movie", "imdbid", "contentid", "videoid", "trackid", "bookid", "asin",
			      "offerid", "identity", "reference", "iid") },
	[ROLE_EVENT] = { "event", "--event",
			 NAMES("event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviour",
			       "behaviortype", "behaviourtype", "interaction", "interactiontype", "activity", "type") },
	[ROLE_TIME] = { "time", "--time",
			NAMES("timestamp", "ts", "time", "eventtime", "datetime", "eventdate", "date", "occurredat",
			      "createdat", "happenedat", "tsest", "timeest", "timestampest", "timestampms", "timems",
			      "invoicedate", "orderdate", "purchasedate", "viewdate", "unixtime") },
	[ROLE_EVENT_ID] = { "event id", "--event-id", NAMES("eventid", "eventuuid", "eventkey") },
	[ROLE_WEIGHT] = { "weight", "--weight", NAMES("weight", "eventweight") },
	[ROLE_ID] = { "id", "--id",
		      NAMES("identity", "itemid", "id", "productid", "sku", "stockcode", "articleid", "movieid",
			    "imdbid", "contentid", "asin", "item", "product", "article", "productcode", "itemcode",
			    "code") },
	[ROLE_NAME] = { "name", "--name",
			NAMES("name", "title", "itemname", "productname", "itemtitle", "producttitle", "movietitle",
			      "displayname", "label", "description") },
	[ROLE_IMAGE] = { "image", "--image",
			 NAMES("imageurl", "image", "imageuri", "imagelink", "imagesrc", "img", "imgurl", "picture",
			       "pictureurl", "photo", "photourl", "thumbnail", "thumbnailurl", "poster", "posterurl",
			       "cover", "coverurl") },
};

const char *role_name(enum role role)
{
	return roles[role].name;
}

const char *role_flag(enum role role)
{
	return roles[role].flag;
}

/* "Customer ID" and "customer_id" are one name: letters and digits only, in lower case. */
static void fold(const char *name, char *folded, size_t room)
{
	size_t at = 0;
	for (; *name != '\0' && at + 1 < room; name++) {
		if (strchr(" _-.", *name) == NULL)
			folded[at++] = (char)tolower((unsigned char)*name);
	}
	folded[at] = '\0';
}

/* Place in the role's list; -1: not in it. */
static int rank(enum role role, const char *column)
{
	char folded[64];
	fold(column, folded, sizeof folded);
	for (int i = 0; roles[role].columns[i] != NULL; i++) {
		if (strcmp(folded, roles[role].columns[i]) == 0)
			return i;
	}
	return -1;
}

int columns_guess(enum role role, const char *const *columns, size_t count)
{
	int best = -1, best_rank = 0;
	for (size_t i = 0; i < count; i++) {
		int place = rank(role, columns[i]);
		if (place >= 0 && (best < 0 || place < best_rank)) {
			best = (int)i;
			best_rank = place;
		}
	}
	return best;
}

bool columns_known(enum role role, const char *column)
{
	return rank(role, column) >= 0;
}

static bool is_plain(char c)
{
	return isascii((unsigned char)c) && isalnum((unsigned char)c);
}

void attribute_name_make(const char *header, char *name)
{
	size_t bytes = strlen(header);
	if (attribute_name_check("column", header, bytes, NULL) == 0) {
		memcpy(name, header, bytes + 1);
		return;
	}
	/* Room is left for "c_" before and "_" behind. */
	size_t at = 0;
	for (; *header != '\0' && at < NAME_MAX_BYTES - 3; header++) {
		if (is_plain(*header))
			name[at++] = (char)tolower((unsigned char)*header);
		else if (at > 0 && name[at - 1] != '_')
			name[at++] = '_';
	}
	while (at > 0 && name[at - 1] == '_')
		at--;
	name[at] = '\0';
	if (at == 0) {
		strcpy(name, "column");
	} else if (isdigit((unsigned char)name[0])) {
		memmove(name + 2, name, at + 1);
		memcpy(name, "c_", 2);
	} else if (attribute_name_check("column", name, at, NULL) != 0) {
		strcpy(name + at, "_");
	}
}

int columns_check_lines(const char *const *columns, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *cr = strchr(columns[i], '\r');
		if (cr != NULL && cr[1] != '\n')
			return error_set(err, E_DATA_LOSS,
					 "its lines end with CR alone, as on old Macs; convert it: "
					 "`tr '\\r' '\\n' < FILE > NEW_FILE`");
	}
	return 0;
}

const char *columns_text(const char *const *columns, size_t count, char *buffer, size_t room)
{
	size_t at = 0;
	buffer[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		if (at + strlen(columns[i]) + sizeof "'', ..." > room) {
			snprintf(buffer + at, room - at, "...");
			break;
		}
		at += (size_t)snprintf(buffer + at, room - at, "'%s'%s", columns[i], i + 1 < count ? ", " : "");
	}
	return buffer;
}
