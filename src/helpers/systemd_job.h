/* systemd_job.h - what the helper program libexec/drupe/systemd is told, as lines of text
 *
 *     start drupe-c1.scope           or: stop UNIT, set UNIT (properties of one that runs), attach UNIT (one more process)
 *     manager system                 or: user
 *     pid 1234                       the process to be put into it
 *     expect /system.slice/...       start: the cgroup that the unit must have
 *     invocation 32HEX               stop: only that run of the unit
 *     below /sub                     attach: a cgroup below the unit's
 *     property MemoryMax t 1048576   NAME TYPE WORD..., in order
 *
 * Words are printable ASCII, separated by single blanks; "\xHH" is any other byte, "\e" the empty word.
 */
#pragma once
#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum job_verb { JOB_START, JOB_STOP, JOB_SET, JOB_ATTACH };

struct job_property {
	const char *name, *type;
	const char **words;
	size_t n;
	unsigned since; /* the version of systemd that knows it; 0: any */
};

struct job {
	enum job_verb verb;
	const char *unit;
	bool user;
	uint32_t pid;               /* 0: none */
	const char *expect, *below, *invocation; /* NULL: none */
	struct job_property *properties;
	size_t n;
};

/* Reads a whole job; strings of *out point into text, which is changed. EINVAL */
must_check int job_parse(char *text, struct arena *a, struct job *out, struct err *e);
