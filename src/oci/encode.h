/* encode.h - write C structures as JSON by the tables of decode.h */
#pragma once
#include "oci/decode.h"
#include "oci/json_write.h"

/* Writes *object as a JSON object under key (NULL: at the top or in an array). What decode() reads from it is equal to *object.
 * Absent members (NULL pointers and strings, unset options, lists that are NULL, false) are left out. */
void encode(struct json_writer *w, const char *key, const struct shape *s, const void *object);

/* Writes the members from first up to end, as counted in the table, into the object that was opened last. */
void encode_members(struct json_writer *w, const struct shape *s, const void *object, size_t first, size_t end);
