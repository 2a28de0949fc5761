/*
 * The calls that write: IngestEvents and DeleteUser. Checked as far as the loop thread can, handed to the
 * writer, answered when they are on disk.
 */
#ifndef KINDRED_WORKER_WRITE_CALL_H
#define KINDRED_WORKER_WRITE_CALL_H

#include "common/frame.h"
#include "worker/decode.h"
#include "worker/group.h"

struct worker;

void write_call_ingest(struct worker *worker, const struct frame_head *head, const uint8_t *payload);
void write_call_delete_user(struct worker *worker, const struct frame_head *head, const uint8_t *payload);
/* The user of a DeleteUserRequest, in the payload. Reading and checking only; pure. E_INVALID. */
int delete_request_read(const void *payload, size_t bytes, struct text_view *user, struct error *err);
/* The writer is done with it. */
void write_call_done(struct worker *worker, const struct write_call *call);

#endif
