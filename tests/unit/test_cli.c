/* The command line as a whole: the invocations of containerd, podman, CRI-O, conmon, buildah and buildkit arrive as meant; exit
 * statuses; usage errors; help. */
#include "cli_fake.h"

/* Own failure with the given status: nothing was called, nothing printed, one line on standard error. */
static void expect_refusal(const char *line, int status, const char *text)
{
	int got = run(line);

	if (got != status || *output || *called)
		printf("# %s: status %d, output \"%s\", called \"%s\"\n", line, got, output, called), tap_failed = true;
	expect_str(errors, text);
}

#define SHIM "drupe --root /run/containerd/runc/k8s.io --log %D/log.json --log-format json "

static void containerd_shim_invocations(void)
{
	expect_call(SHIM "create --bundle /b --pid-file /b/init.pid --console-socket /s --no-pivot --no-new-keyring web",
		    "create web bundle=/b pid-file=/b/init.pid console=/s no-pivot no-new-keyring");
	expect_str(seen.root, "/run/containerd/runc/k8s.io");
	expect(seen.cgroup.manager == CGROUP_MANAGER_FS);
	expect(sealed == 1);
	expect_call(SHIM "--systemd-cgroup create --bundle /b --pid-file /p web", "create web bundle=/b pid-file=/p");
	expect(seen.cgroup.manager == CGROUP_MANAGER_SYSTEMD);
	expect_call(SHIM "start web", "start web");
	expect(sealed == 0);
	expect_call(SHIM "exec --process /p.json --console-socket /s --detach --pid-file /pid web",
		    "exec web process=/p.json detach pid-file=/pid console=/s");
	expect(sealed == 1);
	expect_call(SHIM "kill --all web 9", "kill web 9 all\n");
	expect_call(SHIM "kill web 15", "kill web 15\n");
	expect_call(SHIM "pause web", "pause web");
	expect_call(SHIM "resume web", "resume web");
	expect_call(SHIM "delete web", "delete web\n");
	expect_call(SHIM "delete --force web", "delete web force\n");
	expect_call(SHIM "ps --format json web", "");
	expect(*output == '[');
	expect_call("drupe features", "");
	expect_call("drupe --version", "");
}

static void buildkit_invocations(void)
{
	expect_call("drupe --log %D/l --log-format json run --bundle /b --no-pivot --pid-file /p --keep web",
		    "run web bundle=/b pid-file=/p no-pivot keep");
	expect_call("drupe --log %D/l --log-format json exec --process /p.json --pid-file /p web",
		    "exec web process=/p.json pid-file=/p");
	expect_call("drupe --log %D/l --log-format json kill web 9", "kill web 9\n");
}

static void conmon_invocations(void)
{
	expect_call("drupe --systemd-cgroup create --bundle /b --pid-file /p --no-pivot --no-new-keyring --preserve-fds 2 "
		    "--console-socket /s web",
		    "create web bundle=/b pid-file=/p console=/s no-pivot no-new-keyring fds=2");
	expect_call("drupe exec --pid-file /p --process /f --detach --preserve-fds 1 --console-socket /s web",
		    "exec web process=/f detach pid-file=/p console=/s fds=1");
	expect_call("drupe --cgroup-manager disabled --log-format=json --log=%D/oci-log create --bundle /b --pid-file /p web",
		    "create web bundle=/b pid-file=/p");
	expect(seen.cgroup.manager == CGROUP_MANAGER_DISABLED);
}

static void conmon_rs_repeats_global_flags(void)
{
	expect_call("drupe --root=/r1 --root=/r2 --systemd-cgroup --systemd-cgroup create --bundle /b --pid-file /p "
		    "--console-socket=/s web",
		    "create web bundle=/b pid-file=/p console=/s");
	expect_str(seen.root, "/r2");
	expect_call("drupe --root=/r exec -d --tty --console-socket=/s --pid-file=/p web ls -l --all",
		    "exec web [ls] [-l] [--all] tty detach pid-file=/p console=/s");
}

static void podman_and_crio_direct_invocations(void)
{
	expect_call("drupe start web", "start web");
	expect_call("drupe kill --all web 15", "kill web 15 all\n");
	expect_call("drupe kill -a web 9", "kill web 9 all\n");
	expect_call("drupe kill web TERM", "kill web 15\n");
	expect_call("drupe --root /r --systemd-cgroup delete --force web", "delete web force\n");
	expect_call("drupe --root /r exec --process /f web", "exec web process=/f");
}

static void buildah_invocations(void)
{
	expect_call("drupe --systemd-cgroup create --bundle /b --pid-file /p --console-socket /s web",
		    "create web bundle=/b pid-file=/p console=/s");
	expect_call("drupe kill web", "kill web 15\n");
	expect_call("drupe kill web SIGKILL", "kill web 9\n");
}

static void run_of_a_directory_makes_a_name_up(void)
{
	char pid[32];
	static const struct {
		const char *line, *name, *bundle;
	} cases[] = {
		{ "drupe run a/b/", "b", "a/b/" },       { "drupe run ./", "bundle", "./" },
		{ "drupe run /", "bundle", "/" },        { "drupe run ../..", "bundle", "../.." },
		{ "drupe run /x/a:b", "a_b", "/x/a:b" }, { "drupe run ./.a", "bundle", "./.a" },
	};

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char want[200];

		snprintf(want, sizeof(want), "run %s-%s bundle=%s", cases[i].name, pid, cases[i].bundle);
		expect_call(cases[i].line, want);
	}
	expect_call("drupe run --bundle x a/b", "run a/b bundle=x");
	expect_call("drupe create a/b", "create a/b");
}

static void go_runc_spellings(void)
{
	expect_call("drupe --debug --rootless=true --systemd-cgroup=false --criu=/usr/sbin/criu run --detach --no-subreaper "
		    "--pidfd-socket /x web",
		    "run web pidfd=/x detach no-subreaper");
	expect(seen.cgroup.ignore_permission && seen.debug && seen.cgroup.manager == CGROUP_MANAGER_FS);
	expect_call("drupe -systemd-cgroup run -no-subreaper -d web", "run web detach no-subreaper");
	expect(seen.cgroup.manager == CGROUP_MANAGER_SYSTEMD);
	expect_call(
		"drupe --rootless false exec --user 1000:100 --additional-gids 5 -g 6,7 --cap CAP_KILL -c CHOWN --env A=1 -e B= "
		"--cwd /tmp --no-new-privs --ignore-paused --apparmor p --process-label l --cgroup sub --tty=false web sh -c exit",
		"exec web [sh] [-c] [exit] cwd=/tmp user=1000:100 env=A=1 env=B= cap=CAP_KILL cap=CHOWN gids=5,6,7 no-tty "
		"no-new-privs ignore-paused apparmor=p label=l cgroup=sub");
	expect(!seen.cgroup.ignore_permission);
	expect_call("drupe create web --bundle /b", "create web bundle=/b");
	expect_call("drupe create --no-subreaper -b /b -f c.json web", "create web bundle=/b config=c.json");
}

static void exit_statuses_follow_the_program_or_the_failure(void)
{
	status_of_program = 42;
	expect(run("drupe run web") == 42);
	expect(run("drupe run --detach web") == 42);
	status_of_program = 137;
	expect(run("drupe exec web true") == 137);
	status_of_program = 0;
	expect(run("drupe run gone") == 1);
	expect(run("drupe exec gone true") == 255);
	expect_str(errors, "drupe: container \"gone\" does not exist\n");
	expect(run("drupe state gone") == 1 && !*output);
	expect_str(errors, "drupe: container \"gone\" does not exist\n");
}

static void usage_errors_are_one_line_and_call_nothing(void)
{
	expect_refusal("drupe", 1, "drupe: a command is missing (see drupe --help)\n");
	expect_refusal("drupe frob", 1, "drupe: unknown command \"frob\" (see drupe --help)\n");
	expect_refusal("drupe --frob start web", 1, "drupe: unknown flag: --frob\n");
	expect_refusal("drupe start --frob web", 1, "drupe: start: unknown flag: --frob\n");
	expect_refusal("drupe start", 1, "drupe: usage: drupe start CONTAINER: an argument is missing (see drupe start --help)\n");
	expect_refusal("drupe kill a b c", 1,
		       "drupe: usage: drupe kill [flags] CONTAINER [SIGNAL]: too many arguments (see drupe kill --help)\n");
	expect_refusal("drupe create --bundle", 1, "drupe: create: flag needs an argument: --bundle\n");
	expect_refusal("drupe kill web FROB", 1, "drupe: invalid signal \"FROB\"\n");
	expect_refusal("drupe exec web", 255, "drupe: exec: a command or --process is missing (see drupe exec --help)\n");
	expect_refusal("drupe exec --process p web sh", 255, "drupe: exec: a command and --process exclude each other\n");
	expect_refusal("drupe exec --frob web sh", 255, "drupe: exec: unknown flag: --frob\n");
	expect_refusal("drupe create --preserve-fds 4000000000 web", 1,
		       "drupe: --preserve-fds 4000000000: there cannot be so many\n");
	expect_refusal("drupe --log-level loud start web", 1,
		       "drupe: --log-level: expected one of error, warning, warn, info, debug, trace, got \"loud\"\n");
	expect_refusal("drupe --root= start web", 1, "drupe: --root: the name is empty\n");
}

/* podman asks like this; every flag that callers send is parsed, and then refused with the rest. */
static void checkpoint_answers_probes_and_is_refused(void)
{
	static const char *const lines[] = {
		"drupe checkpoint --image-path i --work-path w --leave-running --tcp-established --ext-unix-sk --shell-job "
		"--file-locks --pre-dump --parent-path ../p --manage-cgroups-mode soft --lazy-pages --page-server h:1 --status-fd "
		"3 "
		"--empty-ns network --auto-dedup --link-remap --tcp-skip-in-flight --network-lock skip web",
		"drupe restore --image-path i --work-path w --bundle b --detach --pid-file p --console-socket s --tcp-established "
		"--ext-unix-sk --shell-job --file-locks --manage-cgroups-mode ignore --lsm-profile apparmor:x --lsm-mount-context "
		"c "
		"-no-subreaper --no-pivot --empty-ns network --auto-dedup --lazy-pages --tcp-close web",
	};

	for (size_t i = 0; i < 2; i++) {
		expect(run(lines[i]) == 1 && !*called && !*output);
		expect(has(errors, "this build has no checkpoint and restore yet\n"));
	}
	expect(run("drupe checkpoint --help") == 0 && *output && !*errors);
	expect(run("drupe restore --help") == 0 && *output && !*errors);
	expect_refusal("drupe restore --lsm-mount-context", 1, "drupe: restore: flag needs an argument: --lsm-mount-context\n");
	expect_refusal("drupe checkpoint --manage-cgroups-mode x web", 1,
		       "drupe: checkpoint: --manage-cgroups-mode: expected one of soft, full, strict, ignore, got \"x\"\n");
}

static void wait_prints_the_status(void)
{
	status_of_program = 137;
	expect(run("drupe wait web") == 0);
	expect_str(output, "137\n");
	expect_str(called, "wait web\n");
	status_of_program = 0;
	expect(run("drupe wait gone") == 1 && !*output);
}

static void mounts_come_from_an_array(void)
{
	char file[128];

	put_scratch("l", "[{\"destination\":\"/a\",\"options\":[\"bind\"]},{\"destination\":\"/b\"}]", file, sizeof(file));
	expect_call("drupe mounts add web %D/l", "mounts add web at=/a at=/b");
	expect(sealed == 1);
	expect_call("drupe mounts remove web %D/l", "mounts remove web at=/a at=/b");
	expect_refusal("drupe mounts move web f", 1,
		       "drupe: mounts: expected add or remove, got \"move\" (see drupe mounts --help)\n");
	expect(run("drupe mounts add web %D/none") == 1 && has(errors, "No such file") && !*called);
	static const char *const bad[] = { "{}", "null", "7", "[{\"destination\":7}]", "[{}]", "[]]", "" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_scratch("l", bad[i], file, sizeof(file));
		expect(run("drupe mounts add web %D/l") == 1 && !*called);
		if (!has(errors, "/l: line 1: "))
			printf("# %s: %s", bad[i], errors), tap_failed = true;
	}
}

static void check_screen(const char *line)
{
	size_t lines = 0;

	if (run(line) != 0 || *errors || !*output)
		printf("# %s fails\n", line), tap_failed = true;
	for (const char *l = output; *l; lines++) {
		size_t len = strcspn(l, "\n");

		if (len > 80)
			printf("# %s: wider than 80: %.*s\n", line, (int)len, l), tap_failed = true;
		l += len + (l[len] == '\n');
	}
	if (lines > 24)
		printf("# %s: %zu lines\n", line, lines), tap_failed = true;
}

static void every_help_fits_a_screen_and_has_an_example(void)
{
	char line[64];

	check_screen("drupe --help");
	check_screen("drupe -h");
	for (const struct command *const *c = cli_commands; *c; c++) {
		expect(has(output, (*c)->name));
		expect(strlen((*c)->brief) <= 26);
	}
	for (const struct command *const *c = cli_commands; *c; c++) {
		snprintf(line, sizeof(line), "drupe %s --help", (*c)->name);
		check_screen(line);
		expect(has(output, "Example: drupe "));
		expect(has(output, (*c)->example));
		snprintf(line, sizeof(line), "drupe help %s", (*c)->name);
		check_screen(line);
	}
}

static void only_the_first_version_line_says_version(void)
{
	static const char *const spellings[] = { "drupe --version", "drupe -v", "drupe -V", "drupe version" };

	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
		expect(run(spellings[i]) == 0 && !*errors);
		expect(!strncmp(output,
				"drupe version " DRUPE_VERSION "\ncommit: ", strlen("drupe version " DRUPE_VERSION "\ncommit: ")));
		expect(has(output, "\nspec: 1.3.0\n"));
		expect(!has(output + 14, "version"));
	}
}

CLI_TAP_MAIN(CASE(containerd_shim_invocations), CASE(buildkit_invocations), CASE(conmon_invocations),
	     CASE(conmon_rs_repeats_global_flags), CASE(podman_and_crio_direct_invocations), CASE(buildah_invocations),
	     CASE(run_of_a_directory_makes_a_name_up), CASE(go_runc_spellings),
	     CASE(exit_statuses_follow_the_program_or_the_failure), CASE(usage_errors_are_one_line_and_call_nothing),
	     CASE(checkpoint_answers_probes_and_is_refused), CASE(wait_prints_the_status), CASE(mounts_come_from_an_array),
	     CASE(every_help_fits_a_screen_and_has_an_example), CASE(only_the_first_version_line_says_version))
