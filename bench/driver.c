/* driver - runs commands in turn, each when the machine is quiet, and prints what each of them took
 *
 *   driver [-n ROUNDS] [-w WARM-UP] [-g GATE-MS] [-s SPACE-MS] FILE        one after the other, interleaved
 *   driver -p PROCESSES -t SECONDS FILE                                    as many as possible at once
 *
 * A line of FILE is a scenario: "LABEL | STEP | STEP...". A step is "NAME COMMAND ARGUMENT...", where {id} becomes an id that was
 * never used before; or "NAME @reap", which waits for an orphan, as the init of a container is once `create` has ended. A step
 * whose NAME begins with "-" is not measured and may fail.
 *
 * Output: "LABEL STEP WALL-US CPU-US RSS-KIB" for each measured step of each round; with -p "LABEL COUNT SECONDS FAILURES". CPU and
 * memory are those of the command and of what it waited for. Between samples of one scenario stand samples of all others, and each
 * round begins with another scenario, so that what the machine does besides is shared fairly. A sample begins when at most one task
 * runs (ourselves), or after GATE-MS.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX     8
#define SCENARIOS_MAX 64
#define ARGS_MAX      64
#define LINE_MAX      4096

extern char **environ;

struct step {
	char *name, *args[ARGS_MAX];
	bool unmeasured, reaps;
};

struct scenario {
	char *label;
	struct step steps[STEPS_MAX];
	int n;
};

struct sample {
	double wall, cpu; /* microseconds */
	long rss;         /* KiB */
};

static struct scenario scenarios[SCENARIOS_MAX];
static int n_scenarios;

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double us(struct timeval t)
{
	return (double)t.tv_sec * 1e6 + (double)t.tv_usec;
}

/* ---- scenarios ---- */

static void parse_step(struct scenario *s, char *text)
{
	struct step *step = &s->steps[s->n++];
	char *save, *word = strtok_r(text, " ", &save);
	int n = 0;

	step->unmeasured = *word == '-';
	step->name = strdup(word + step->unmeasured);
	while ((word = strtok_r(NULL, " ", &save)) && n < ARGS_MAX - 1)
		step->args[n++] = strdup(word);
	step->reaps = n == 1 && strcmp(step->args[0], "@reap") == 0;
	if (!n) {
		fprintf(stderr, "%s: a step without a command\n", s->label);
		exit(2);
	}
}

static void parse_line(char *line)
{
	struct scenario *s = &scenarios[n_scenarios];
	char *save, *part = strtok_r(line, "|", &save);

	line[strcspn(line, "\n")] = '\0';
	if (!part || n_scenarios == SCENARIOS_MAX)
		return;
	part[strcspn(part, " ")] = '\0';
	s->label = strdup(part);
	while ((part = strtok_r(NULL, "|", &save)) && s->n < STEPS_MAX)
		parse_step(s, part);
	n_scenarios++;
}

static void read_scenarios(const char *name)
{
	char line[LINE_MAX];
	FILE *file = fopen(name, "re");

	if (!file)
		die(name);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (*line)
			parse_line(line);
	}
	fclose(file);
}

/* ---- one step ---- */

/* arg with id for {id}, in *at, which moves on. */
static char *fill_in(const char *arg, const char *id, char **at)
{
	const char *hole = strstr(arg, "{id}");
	char *start = *at;

	*at += 1 + (hole ? sprintf(start, "%.*s%s%s", (int)(hole - arg), arg, id, hole + 4) : sprintf(start, "%s", arg));
	return start;
}

static pid_t launch(const struct step *step, const char *id, const posix_spawn_file_actions_t *files)
{
	char text[2 * LINE_MAX], *at = text, *argv[ARGS_MAX] = { 0 };
	pid_t pid;

	for (int i = 0; step->args[i]; i++)
		argv[i] = fill_in(step->args[i], id, &at);
	errno = posix_spawnp(&pid, argv[0], files, NULL, argv, environ);
	if (errno)
		die(argv[0]);
	return pid;
}

/* Returns true when it went well. */
static bool run_step(const struct step *step, const char *id, const posix_spawn_file_actions_t *files, struct sample *out)
{
	struct rusage used;
	int status;
	double start = now_us();
	pid_t pid = step->reaps ? -1 : launch(step, id, files);

	do
		pid = wait4(pid, &status, __WALL, &used);
	while (pid < 0 && errno == EINTR);
	*out = (struct sample){ now_us() - start, us(used.ru_utime) + us(used.ru_stime), used.ru_maxrss };
	return pid > 0 && status == 0;
}

/* ---- quiet moments ---- */

static void await_quiet(long gate_ms)
{
	static int fd = -1;
	double end = now_us() + (double)gate_ms * 1e3;
	const struct timespec pause = { .tv_nsec = 700 * 1000 };

	if (fd < 0)
		fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
	while (now_us() < end) {
		char text[64] = "", *at = text;

		(void)!pread(fd, text, sizeof(text) - 1, 0);
		for (int i = 0; at && i < 3; i++)
			at = strchr(at + 1, ' ');
		if (!at || atoi(at) <= 1)
			return;
		nanosleep(&pause, NULL);
	}
}

/* ---- both ways ---- */

struct settings {
	long rounds, warm_up, gate_ms, space_ms, processes, seconds;
	posix_spawn_file_actions_t files;
};

static void next_id(char id[64], int process)
{
	static int sequence;

	snprintf(id, 64, "b%d-%d-%d", (int)getpid(), process, sequence++);
}

/* Orphans of earlier scenarios are nobody's. */
static void forget_orphans(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* Returns true when all steps went well; prints, unless out is NULL. */
static bool run_scenario(const struct scenario *s, const struct settings *set, const char *id, FILE *out)
{
	struct sample sample;
	bool good = true;

	forget_orphans();
	for (int i = 0; i < s->n; i++) {
		const struct step *step = &s->steps[i];
		bool went_well = run_step(step, id, &set->files, &sample);

		if (step->unmeasured)
			continue;
		good &= went_well;
		if (!went_well && out)
			fprintf(stderr, "driver: %s: step %s failed\n", s->label, step->name);
		if (went_well && out)
			fprintf(out, "%s %s %.1f %.0f %ld\n", s->label, step->name, sample.wall, sample.cpu, sample.rss);
	}
	return good;
}

static int interleave(const struct settings *set)
{
	const struct timespec pause = { .tv_sec = set->space_ms / 1000, .tv_nsec = set->space_ms % 1000 * 1000000 };
	char id[64];

	for (long round = -set->warm_up; round < set->rounds; round++)
		for (int i = 0; i < n_scenarios; i++) {
			const struct scenario *s = &scenarios[(i + round + set->warm_up) % n_scenarios];

			nanosleep(&pause, NULL);
			await_quiet(set->gate_ms);
			next_id(id, 0);
			(void)run_scenario(s, set, id, round < 0 ? NULL : stdout);
		}
	return 0;
}

struct tally {
	long good, bad;
};

static _Noreturn void work(const struct scenario *s, const struct settings *set, int number, double end, int out)
{
	struct tally t = { 0 };
	char id[64];

	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (now_us() < end) {
		next_id(id, number);
		if (run_scenario(s, set, id, NULL))
			t.good++;
		else
			t.bad++;
	}
	_exit(write(out, &t, sizeof(t)) == (ssize_t)sizeof(t) ? 0 : 1);
}

static int crowd(const struct settings *set)
{
	for (int i = 0; i < n_scenarios; i++) {
		double start = now_us();
		struct tally sum = { 0 }, t;
		int p[2];

		fflush(stdout);
		if (pipe2(p, O_CLOEXEC) < 0)
			die("pipe");
		for (int k = 0; k < set->processes; k++)
			if (fork() == 0)
				work(&scenarios[i], set, k, start + (double)set->seconds * 1e6, p[1]);
		close(p[1]);
		while (read(p[0], &t, sizeof(t)) == (ssize_t)sizeof(t)) {
			sum.good += t.good;
			sum.bad += t.bad;
		}
		close(p[0]);
		printf("%s %ld %.3f %ld\n", scenarios[i].label, sum.good, (now_us() - start) / 1e6, sum.bad);
		while (wait(NULL) > 0)
			;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct settings set = { .rounds = 20, .warm_up = 2, .seconds = 3 };
	static const char options[] = "nwgspt";
	long *const values[] = { &set.rounds, &set.warm_up, &set.gate_ms, &set.space_ms, &set.processes, &set.seconds };

	for (int c; (c = getopt(argc, argv, "n:w:g:s:p:t:")) != -1;) {
		if (c == '?')
			return 2;
		*values[strchr(options, c) - options] = atol(optarg);
	}
	if (optind + 1 != argc)
		return 2;
	read_scenarios(argv[optind]);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	posix_spawn_file_actions_init(&set.files);
	posix_spawn_file_actions_addopen(&set.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&set.files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	return set.processes ? crowd(&set) : interleave(&set);
}
