/* helper.h - what all helper programs have in common: a job on standard input, one line on standard error when it fails */
#pragma once
#include "base/arena.h"
#include "base/err.h"

/* The whole of main(): reads the job and hands it to run(), which may change the text. Returns the exit status. */
int helper_main(int (*run)(char *job, struct arena *a, struct err *e));
