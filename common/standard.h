/*
 * Standard input, output and error may be closed when a program starts (2>&-). What it opens first would get their
 * numbers: what it logs would be written into a file of the data directory, what it prints into a connection.
 */
#ifndef KINDRED_STANDARD_H
#define KINDRED_STANDARD_H

/*
 * The first thing in main(). Those that are closed stay of no use, but nothing else can get their numbers: writing to
 * them fails as before.
 */
void standard_hold(void);

#endif
