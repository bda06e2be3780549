/* What the commands print, and what the log gets. */
#include "cli_fake.h"

#include <sys/socket.h>

static void unwritable_output_is_an_error(void)
{
	static const char *const lines[] = {
		"drupe state web",           "drupe list", "drupe list -q", "drupe features", "drupe --version", "drupe --help",
		"drupe ps --format json web"
	};
	int ends[2];

	listed = two;
	n_listed = 2;
	stdout_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		expect(run(lines[i]) == 1);
		expect(has(errors, "drupe: standard output: ") && has(errors, "No space left on device"));
	}
	close(stdout_fd);
	signal(SIGPIPE, SIG_IGN); /* as main() does */
	expect(pipe(ends) == 0);
	close(ends[0]);
	stdout_fd = ends[1];
	expect(run("drupe state web") == 1);
	expect(has(errors, "Broken pipe"));
	close(ends[1]);
	stdout_fd = -1;
	no_stdout = true;
	expect(run("drupe state web") == 1);
	expect_str(errors, "drupe: standard output is closed\n");
	no_stdout = false;
}

static void state_has_the_keys_in_the_known_order(void)
{
	listed = &two[1];
	expect(run("drupe state web") == 0);
	expect_str(output,
		   "{\n  \"ociVersion\": \"1.0.2\",\n  \"id\": \"web\",\n  \"pid\": 77,\n  \"status\": \"paused\",\n"
		   "  \"bundle\": \"/b/web\",\n  \"rootfs\": \"/b/web/rootfs\",\n"
		   "  \"created\": \"2026-01-02T03:04:05.123456789Z\",\n  \"annotations\": {\n    \"a/b\": \"c\\\"d\"\n  },\n"
		   "  \"owner\": \"root\"\n}\n");
	listed = two;
	expect(run("drupe state old") == 0);
	expect(has(output, "\"pid\": 0,") && has(output, "\"status\": \"stopped\"") && !has(output, "annotations"));
}

static void list_aligns_its_columns(void)
{
	listed = two;
	n_listed = 2;
	expect(run("drupe list") == 0);
	expect_str(output, "ID                     PID         STATUS      BUNDLE      CREATED                          OWNER\n"
			   "a-name-of-20-letters   0           stopped     /b/old      2026-01-02T03:04:05Z             #12345\n"
			   "web                    77          paused      /b/web      2026-01-02T03:04:05.123456789Z   root\n");
	expect(run("drupe list --quiet") == 0);
	expect_str(output, "a-name-of-20-letters\nweb\n");
	expect(run("drupe list --format json") == 0);
	expect(!strncmp(output, "[{\"ociVersion\":", 15) || !strncmp(output, "[{\"ociVersion\": ", 16));
	n_listed = 0;
	expect(run("drupe list -f json") == 0);
	expect_str(output, "[]\n");
	expect(run("drupe list -q") == 0 && !*output);
}

static void regex_reaches_every_match_and_reports_the_first_failure(void)
{
	static struct oci_state s[4];
	static const char *const ids[] = { "web1", "gone", "db", "web2" };
	static struct container_info v[4];

	for (size_t i = 0; i < 4; i++) {
		s[i].id = ids[i];
		v[i].state = &s[i];
	}
	listed = v;
	n_listed = 4;
	expect_call("drupe delete --force --regex ^web[12]$", "delete web1 force\ndelete web2 force\n");
	expect_call("drupe kill -r ^(db|web2)$ KILL", "kill db 9\nkill web2 9\n");
	expect_call("drupe delete -r nothing", "");
	expect(run("drupe delete --regex .") == 1);
	expect_str(called, "delete web1\ndelete gone\ndelete db\ndelete web2\n");
	expect_str(errors, "drupe: container \"gone\" does not exist\n");
	expect(run("drupe delete --regex (") == 1);
	expect(has(errors, "drupe: regular expression \"(\": "));
	n_listed = 0;
}

static void ps_keeps_header_and_own_lines(void)
{
	static const pid_t pids[] = { 12, 340 };
	struct arena a = { 0 };
	struct strbuf out = STRBUF(&a);
	struct err e;

	expect(ps_filter("UID   PID  PPID CMD\nroot   12     1 sh\nroot  120    12 PID 12\nx     340    12 top -b", pids, 2, 0,
			 &out, &e) == 0);
	expect_str(strbuf_str(&out), "UID   PID  PPID CMD\nroot   12     1 sh\nx     340    12 top -b\n");
	expect(ps_filter("COMMAND\nsh\n", pids, 2, 0, &out, &e) == -EINVAL);
	expect_str(e.text, "ps: the output has no column PID");
	arena_release(&a);
}

static void ps_runs_ps(void)
{
	char mine[32];

	snprintf(mine, sizeof(mine), "%d", (int)getpid());
	expect(run("drupe ps web") == 0);
	expect(has(output, "UID") && has(output, mine));
	expect(run("drupe ps --format table web -o pid,comm -e") == 0);
	expect(has(output, "COMMAND") && has(output, mine));
	expect(run("drupe ps web --format json") == 0);
	expect(*output == '[' && has(output, mine));
	expect(run("drupe ps web --frob-ps") == 1);
	expect(has(errors, "drupe: ps: exit status "));
}

static void signals_by_number_and_name(void)
{
	static const struct {
		const char *text;
		int number;
	} good[] = { { "9", 9 },           { "0", 0 },         { "64", 64 },      { "kill", 9 },
		     { "SIGKILL", 9 },     { "sigusr1", 10 },  { "Term", 15 },    { "RTMIN", 34 },
		     { "SIGRTMIN+3", 37 }, { "rtmin+30", 64 }, { "RTMAX-1", 63 }, { "SIGRTMAX", 64 },
		     { "CLD", 17 },        { "IO", 29 },       { "PWR", 30 },     { "SYS", 31 } };
	static const char *const bad[] = { "",         "65",      "-9",     "SIG", "SIGSIGKILL", "KIL",
					   "RTMIN+31", "RTMIN-1", "RTMIN+", "9x",  "RTMAX+1" };
	struct err e;
	int sig;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		sig = -1;
		expect(signal_parse(good[i].text, &sig, &e) == 0);
		if (sig != good[i].number)
			printf("# %s: %d\n", good[i].text, sig), tap_failed = true;
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(signal_parse(bad[i], &sig, &e) == -EINVAL);
}

static void features_lists_what_callers_ask_for(void)
{
	struct arena a = { 0 };
	const struct json *j;
	struct err e;

	expect(run("drupe features") == 0 && !*errors);
	expect(json_parse(&a, output, strlen(output), &j, &e) == 0);
	expect(has(output, "\"ociVersionMax\": \"1.3.0\""));
	expect(has(output, "\"rro\"") && has(output, "\"user\"") && has(output, "\"CAP_CHOWN\"") &&
	       has(output, "\"createRuntime\""));
	expect(has(output, "\"SCMP_ARCH_X86_64\"") && has(output, "\"SCMP_ACT_NOTIFY\""));
	arena_release(&a);
}

static void spec_writes_a_valid_config_once(void)
{
	struct arena a = { 0 };
	const struct oci_spec *spec;
	struct err e;
	char *text;
	char path[128];

	snprintf(path, sizeof(path), "%s/config.json", dir);
	for (int rootless = 0; rootless < 2; rootless++) {
		expect(run(rootless ? "drupe spec --rootless --bundle %D" : "drupe spec --bundle %D") == 0 && !*output);
		ssize_t n = file_read(AT_FDCWD, path, 1 << 20, true, &a, &text, &e);

		expect(n > 0);
		if (n <= 0 || oci_spec_parse(&a, text, (size_t)n, &spec, &e) < 0) {
			printf("# %s\n", e.text);
			tap_failed = true;
			continue;
		}
		expect(run("drupe spec --bundle %D") == 1);
		expect_str(errors, "drupe: config.json exists: remove it first\n");
		expect(has(text, rootless ? "\"user\"" : "\"network\""));
		expect(!rootless || (!has(text, "gid=") && !has(text, "resources") && has(text, "rbind")));
		unlink(path);
	}
	arena_release(&a);
}

static void write_file(const char *name, const char *text)
{
	int fd = scratch(name);

	expect(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void check_prints_problems_and_nothing_else(void)
{
	char rootfs[128];

	snprintf(rootfs, sizeof(rootfs), "%s/rootfs", dir);
	mkdir(rootfs, 0700);
	expect(run("drupe spec --bundle %D") == 0);
	expect(run("drupe check %D") == 0 && !*output && !*errors);
	write_file("config.json", "{\"ociVersion\": \"1.0.0\",\n \"root\": {\"path\": \"rootfs\"},\n \"hostname\": 7}");
	expect(run("drupe check %D") == 1 && !*errors);
	expect_str(output, "config.json: line 3: hostname: expected string, got number\n");
	write_file("other.json", "{\"ociVersion\": \"1.0.0\", \"root\": {\"path\": \"nope\"}}");
	expect(run("drupe check --config other.json %D") == 1 && !*errors);
	expect_str(output, "other.json: root.path: nope: No such file or directory\n");
	write_file("other.json", "no JSON");
	expect(run("drupe check --config other.json %D") == 1 && !*errors);
	expect(!strncmp(output, "other.json: line 1: ", 20));
	expect(run("drupe check %D/nowhere") == 1 && !*output);
	expect(has(errors, "No such file or directory"));
}

static void plan_prints_the_plan_of_an_example(void)
{
	expect(run("drupe plan /b") == 0);
	expect_str(called, "load /b");
	expect_str(output, "plan of example\n");
	expect(run("drupe plan --id web --config c.json /b") == 0);
	expect_str(called, "load /b config=c.json");
	expect_str(output, "plan of web\n");
	expect(run("drupe plan") == 0);
	expect_str(called, "load -");
}

/* ---- logs ---- */

static const char *log_text(void)
{
	static char text[4096];
	char path[128];

	snprintf(path, sizeof(path), "%s/log", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	text[0] = '\0';
	if (fd >= 0)
		slurp(fd, text, sizeof(text));
	unlink(path);
	return text;
}

static void json_log_gets_exactly_one_object_a_failure(void)
{
	struct arena a = { 0 };
	const struct json *j;
	struct err e;

	log_text();
	expect(run("drupe --log %D/log --log-format json start gone") == 1);
	expect_str(errors, "drupe: container \"gone\" does not exist\n");
	const char *text = log_text();

	expect(!strncmp(text, "{\"level\":", 9) && strchr(text, '\n') == text + strlen(text) - 1);
	expect(json_parse(&a, text, strlen(text), &j, &e) == 0 && j->len == 3);
	expect_str(j->child->text, "error");
	expect_str(j->child->next->text, "container \"gone\" does not exist");
	expect(strlen(j->child->next->next->text) == strlen("2026-01-02T03:04:05.123456789Z"));
	expect(run("drupe --log=file:%D/log --log-format=json start web") == 0);
	expect_str(log_text(), "");
	arena_release(&a);
}

static void logs_are_appended_with_mode_0644(void)
{
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/log", dir);
	umask(022);
	expect(run("drupe --log %D/log start gone") == 1 && run("drupe --log %D/log start --frob") == 1);
	expect(stat(path, &st) == 0 && (st.st_mode & 07777) == 0644);
	const char *text = log_text();

	expect(has(text, "Z error: container \"gone\" does not exist\n") && has(text, "Z error: start: unknown flag: --frob\n"));
}

static void a_log_that_could_block_is_refused(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/fifo", dir);
	expect(mkfifo(path, 0600) == 0);
	alarm(60);
	expect(run("drupe --log %D/fifo start web") == 1 && !*called);
	expect(has(errors, "fifo: not a regular file"));
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	expect(run("drupe --log %D/fifo start web") == 1 && has(errors, "fifo: not a regular file"));
	alarm(0);
	close(reader);
	unlink(path);
	expect(run("drupe --log %D start web") == 1 && !*called);
	expect(symlink("/dev/null", path) == 0 && run("drupe --log %D/fifo start web") == 1);
	unlink(path);
	expect(run("drupe --log /dev/null start web") == 0);
	expect(run("drupe --log /dev/stderr --log-format json start gone") == 1 && *errors == '{');
}

static void expect_datagram(enum log_kind kind, const char *before_pid, const char *behind)
{
	char text[512], filled[512];
	int pair[2];

	expect(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	struct log_file l = { .fd = pair[0], .kind = kind, .name = "a\nPRIORITY=0" };
	struct log_sink s = log_file_sink(&l, LOG_LEVEL_DEBUG);

	s.put(s.ctx, LOG_LEVEL_DEBUG, "odd\nID=x");
	ssize_t n = recv(pair[1], text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	snprintf(filled, sizeof(filled), "%s%d%s", before_pid, (int)getpid(), behind);
	expect_str(text, filled);
	/* A daemon that does not read: neither stuck nor killed. */
	for (int i = 0; i < 10000; i++)
		s.put(s.ctx, LOG_LEVEL_DEBUG, "again");
	close(pair[1]);
	s.put(s.ctx, LOG_LEVEL_DEBUG, "gone");
	close(pair[0]);
}

static void the_journal_gets_fields_and_syslog_a_line(void)
{
	expect_datagram(LOG_KIND_JOURNAL,
			"PRIORITY=7\nSYSLOG_IDENTIFIER=drupe\nSYSLOG_PID=", "\nID=a?PRIORITY=0\nMESSAGE=odd?ID=x\n");
	expect_datagram(LOG_KIND_SYSLOG, "<31>drupe[", "]: a?PRIORITY=0: odd?ID=x");
}

static void control_characters_do_not_reach_the_terminal(void)
{
	expect(run("drupe start \033[2Jgone\n") == 0);
	expect(run("drupe \033[2J") == 1);
	expect_str(errors, "drupe: unknown command \"?[2J\" (see drupe --help)\n");
}

static void warnings_appear_by_level_and_format(void)
{
	struct log_file l = LOG_FILE_NONE;
	struct log_sink s = log_file_sink(&l, LOG_LEVEL_WARNING);
	int keep = dup(2), err = scratch("stderr");

	dup2(err, 2);
	s.put(s.ctx, LOG_LEVEL_WARNING, "odd");
	l.json = true;
	s.put(s.ctx, LOG_LEVEL_WARNING, "odd");
	dup2(keep, 2);
	close(keep);
	slurp(err, errors, sizeof(errors));
	expect(!strncmp(errors, "drupe: warning: odd\n{", 21));
	expect(has(errors, "warning\""));
}

CLI_TAP_MAIN(CASE(state_has_the_keys_in_the_known_order), CASE(list_aligns_its_columns), CASE(unwritable_output_is_an_error),
	     CASE(regex_reaches_every_match_and_reports_the_first_failure), CASE(ps_keeps_header_and_own_lines), CASE(ps_runs_ps),
	     CASE(signals_by_number_and_name), CASE(features_lists_what_callers_ask_for), CASE(spec_writes_a_valid_config_once),
	     CASE(check_prints_problems_and_nothing_else), CASE(plan_prints_the_plan_of_an_example),
	     CASE(json_log_gets_exactly_one_object_a_failure), CASE(logs_are_appended_with_mode_0644),
	     CASE(a_log_that_could_block_is_refused), CASE(the_journal_gets_fields_and_syslog_a_line),
	     CASE(control_characters_do_not_reach_the_terminal), CASE(warnings_appear_by_level_and_format))
