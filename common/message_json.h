/*
 * Any message of the API as JSON, by its descriptor: the proto3 mapping with the names of the fields as
 * in the .proto files (https://protobuf.dev/programming-guides/json/), except that 64-bit numbers are
 * numbers, and lists of attributes and properties are objects, {"price": 3.5}. Every field is there,
 * also when it has its default; an unset message is null; of a oneof, only the one that is set. Pure.
 */
#ifndef KINDRED_MESSAGE_JSON_H
#define KINDRED_MESSAGE_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* NULL: no memory. */
json_t *message_json(const ProtobufCMessage *message);
/*
 * As text on stdout with a line end, on one line or several. 0, or E_EXHAUSTED or E_UNAVAILABLE (stdout
 * is gone). Consumes the value.
 */
int json_print(json_t *value, bool one_line);
int message_print(const ProtobufCMessage *message);

#endif
