/* analyzer.h - what the analyzer can't see from one file: the functions that fill a struct err return a negative number */
#pragma once
#include "base/err.h"

#define err_set(e, code, ...) ((void)err_set(e, code, __VA_ARGS__), -1)
#define err_errno(e, ...)     ((void)err_errno(e, __VA_ARGS__), -1)
#define err_in(e, ...)        ((void)err_in(e, __VA_ARGS__), -1)
