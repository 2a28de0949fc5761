/*
 * Words for a death without any: a page of a mapped file that cannot be read (SIGBUS). The file was cut, or its disk
 * fails; LMDB and models are read through mappings, so no call returns an error. All processes that map files.
 */
#ifndef KINDRED_FAULT_H
#define KINDRED_FAULT_H

/* From now on the log names the file, before the process ends by the signal as it would have. After log_init. */
void fault_init(void);

#endif
