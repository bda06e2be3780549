/* Signals by name. The numbers of the real-time signals are glibc's, since that is what the programs in containers see, whatever
 * library this program is linked to. */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#define RTMIN      34
#define RTMAX      64
#define SIGNAL_MAX 64

static const struct {
	const char *name;
	int number;
} names[] = {
	{ "HUP", SIGHUP },   { "INT", SIGINT },       { "QUIT", SIGQUIT },     { "ILL", SIGILL },   { "TRAP", SIGTRAP },
	{ "ABRT", SIGABRT }, { "IOT", SIGABRT },      { "BUS", SIGBUS },       { "FPE", SIGFPE },   { "KILL", SIGKILL },
	{ "USR1", SIGUSR1 }, { "SEGV", SIGSEGV },     { "USR2", SIGUSR2 },     { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },
	{ "TERM", SIGTERM }, { "STKFLT", SIGSTKFLT }, { "CHLD", SIGCHLD },     { "CLD", SIGCHLD },  { "CONT", SIGCONT },
	{ "STOP", SIGSTOP }, { "TSTP", SIGTSTP },     { "TTIN", SIGTTIN },     { "TTOU", SIGTTOU }, { "URG", SIGURG },
	{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },     { "VTALRM", SIGVTALRM }, { "PROF", SIGPROF }, { "WINCH", SIGWINCH },
	{ "IO", SIGIO },     { "POLL", SIGPOLL },     { "PWR", SIGPWR },       { "SYS", SIGSYS },   { "RTMIN", RTMIN },
	{ "RTMAX", RTMAX },
};

/* "RTMIN+3", "RTMAX-1" */
static int realtime(const char *s)
{
	bool from_min = !strncasecmp(s, "RTMIN+", 6);
	struct err ignored;
	uint32_t n;

	if ((!from_min && strncasecmp(s, "RTMAX-", 6) != 0) || parse_u32(s + 6, &n, &ignored) < 0 || n > RTMAX - RTMIN)
		return -1;
	return from_min ? RTMIN + (int)n : RTMAX - (int)n;
}

int signal_parse(const char *s, int *out, struct err *e)
{
	const char *name = strncasecmp(s, "SIG", 3) ? s : s + 3;
	int rt = realtime(name);
	struct err ignored;
	uint32_t n;

	if (parse_u32(s, &n, &ignored) == 0 && n <= SIGNAL_MAX) {
		*out = (int)n;
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcasecmp(name, names[i].name)) {
			*out = names[i].number;
			return 0;
		}
	}
	if (rt < 0)
		return err_set(e, EINVAL, "invalid signal \"%.60s\"", s);
	*out = rt;
	return 0;
}
