#include "cli/catalog_summary.h"

#include "cli/text.h"
#include "common/message_json.h"

#include <stdio.h>

void catalog_summary_answer(struct catalog_summary *summary, const Kindred__V1__ImportItemsResponse *answer)
{
	summary->created += answer->created;
	summary->updated += answer->updated;
	summary->unchanged += answer->unchanged;
	summary->refused += answer->n_errors;
}

int catalog_summary_print(const struct catalog_summary *summary, const struct cli *cli, const char *catalog,
			  double seconds)
{
	if (cli->json)
		return json_print(json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "catalog", catalog, "rows",
					    (json_int_t)summary->rows, "created", (json_int_t)summary->created,
					    "updated", (json_int_t)summary->updated, "unchanged",
					    (json_int_t)summary->unchanged, "refused", (json_int_t)summary->refused,
					    "skipped", (json_int_t)summary->skipped, "seconds", seconds),
				  false);
	char counts[6][TEXT_MAX], elapsed[TEXT_MAX];
	printf("%s row%s in %s (%s/s): %s created, %s updated, %s unchanged", text_count(summary->rows, counts[0]),
	       text_s(summary->rows), text_elapsed(seconds, elapsed),
	       text_count((uint64_t)((double)summary->rows / seconds), counts[1]),
	       text_count(summary->created, counts[2]), text_count(summary->updated, counts[3]),
	       text_count(summary->unchanged, counts[4]));
	if (summary->skipped + summary->refused > 0)
		printf(", %s with errors left out", text_count(summary->skipped + summary->refused, counts[5]));
	printf("\n");
	return 0;
}
