/* ere.h - POSIX extended regular expressions, for short texts
 *
 * The C library's would be a tenth of the program. Characters are bytes; there are no back references, collating symbols and
 * equivalence classes. Besides what POSIX says, \w \W \s \S \d \D and \b \B \< \> mean what they mean to most.
 */
#pragma once
#include "base/err.h"

#define ERE_TEXT_MAX 255 /* bytes of a text, as of a container's id */

/* 1: some part of text matches; 0: none does. EINVAL: pattern is no expression; whether it is does not depend on the text, but that repetitions of
 * repetitions are given up when there is too much to do. */
must_check int ere_match(const char *pattern, const char *text, struct err *e);
