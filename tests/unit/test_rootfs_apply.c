/* rootfs/ at work: what a container sees, and what hostile images cannot do. See rootfs_scenario.h. */
#include "rootfs_scenario.h"

#define LINUX_NS "'linux':{'namespaces':[{'type':'mount'},{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'cgroup'}"

/* ---- a whole container ---- */

#define USUAL_MOUNTS                                                                                                               \
	"'mounts':[{'destination':'/proc','type':'proc','source':'proc'},"                                                         \
	"{'destination':'/dev','type':'tmpfs','source':'tmpfs','options':['nosuid','strictatime','mode=755','size=65536k','ro']}," \
	"{'destination':'/dev/pts','type':'devpts','source':'devpts','options':['nosuid','noexec','newinstance',"                  \
	"'ptmxmode=0666','mode=0620','gid=5']},"                                                                                   \
	"{'destination':'/dev/shm','type':'tmpfs','source':'shm','options':['nosuid','noexec','nodev','mode=1777']},"              \
	"{'destination':'/dev/mqueue','type':'mqueue','source':'mqueue','options':['nosuid','noexec','nodev']},"                   \
	"{'destination':'/sys','type':'sysfs','source':'sysfs','options':['nosuid','noexec','nodev','ro']},"                       \
	"{'destination':'/sys/fs/"                                                                                                 \
	"cgroup','type':'cgroup','source':'cgroup','options':['nosuid','noexec','nodev','relatime','ro']}]"
#define USUAL_PATHS                                                                                                                \
	"'maskedPaths':['/proc/version','/proc/filesystems','/secret','/secret2','/none'],'readonlyPaths':['/proc/sys','/none']"

static void prepare_usual(void)
{
	expect(mkdir(BASE "/rootfs/secret", 0755) == 0 && mkdir(BASE "/rootfs/secret2", 0755) == 0);
	put(BASE "/rootfs/secret/key", "k");
	put(BASE "/rootfs/secret2/key", "k");
}

static void tune_usual(struct rootfs_plan *p)
{
	static struct cgroup_view_dir dirs[] = { { "pids", "/sys/fs/cgroup/pids" }, { "cpu,cpuacct", "/sys/fs/cgroup/cpu" } };

	if (access(dirs[0].path, F_OK) == 0 && access(dirs[1].path, F_OK) == 0) {
		p->cgroup.v = dirs;
		p->cgroup.n = 2;
	}
	p->cgroup.links[0].name = "cpu";
	p->cgroup.links[0].target = "cpu,cpuacct";
	p->cgroup.n_links = 1;
}

static void check_dev(void)
{
	expect(S_ISCHR(mode_of("/dev/null")) && rdev_of("/dev/null") == makedev(1, 3));
	expect(S_ISCHR(mode_of("/dev/tty")) && rdev_of("/dev/tty") == makedev(5, 0));
	expect((mode_of("/dev/zero") & 0777) == 0666);
	expect(links_to("/dev/ptmx", "pts/ptmx") && links_to("/dev/fd", "/proc/self/fd"));
	expect(links_to("/dev/core", "/proc/kcore") == exists("/proc/kcore"));
	expect(flags_of("/dev") & ST_RDONLY);
	expect(flags_of("/dev/shm") & ST_NOEXEC && !(flags_of("/dev/shm") & ST_RDONLY));
	expect(magic_of("/dev/pts") == SYS_DEVPTS_SUPER_MAGIC);
	expect(major(rdev_of("/dev/console")) == 136);
}

static void check_sealed(void)
{
	expect(rdev_of("/proc/version") == makedev(1, 3) && rdev_of("/proc/filesystems") == makedev(1, 3));
	expect(count_entries("/secret") == 0 && flags_of("/secret") & ST_RDONLY);
	expect(count_entries("/secret2") == 0 && mkdir("/secret2/x", 0755) < 0);
	expect(flags_of("/proc/sys") & ST_RDONLY && !(flags_of("/proc") & ST_RDONLY));
	expect(flags_of("/") & ST_RDONLY && mkdir("/x", 0755) < 0 && errno == EROFS);
}

static void check_usual(void)
{
	char cwd[64] = "";

	expect(getcwd(cwd, sizeof(cwd)) && strcmp(cwd, "/") == 0);
	expect(magic_of("/proc") == SYS_PROC_SUPER_MAGIC && links_to("/proc/self", "1"));
	expect(!exists(BASE) && !exists("/etc"));
	expect(!strstr(get("/proc/self/mountinfo"), "/outside") && !strstr(get("/proc/self/mountinfo"), "unreachable"));
	check_dev();
	check_sealed();
	expect(flags_of("/sys") & ST_RDONLY);
	expect(flags_of("/sys/fs/cgroup") & ST_RDONLY && links_to("/sys/fs/cgroup/cpu", "cpu,cpuacct"));
	if (exists("/sys/fs/cgroup/pids"))
		expect(magic_of("/sys/fs/cgroup/pids") == SYS_CGROUP_SUPER_MAGIC && flags_of("/sys/fs/cgroup/pids") & ST_RDONLY);
}

static void usual_container_has_what_programs_expect(void)
{
	run(&(struct scenario){ .members = ",'readonly':true}," USUAL_MOUNTS "," LINUX_NS "]," USUAL_PATHS "}}",
				.terminal = true,
				.prepare = prepare_usual,
				.tune = tune_usual,
				.inside = check_usual });
}

static void check_no_foreign_proc(void)
{
	const char *text = get("/proc/self/mountinfo");
	int n = 0;

	check_usual();
	for (const char *c = text; (c = strstr(c, " - proc ")); c++)
		n++;
	expect(n <= 2); /* /proc and /proc/sys */
}

static void no_pivot_gives_the_same(void)
{
	run(&(struct scenario){ .members = ",'readonly':true}," USUAL_MOUNTS "," LINUX_NS "]," USUAL_PATHS "}}",
				.terminal = true,
				.no_pivot = true,
				.prepare = prepare_usual,
				.tune = tune_usual,
				.inside = check_no_foreign_proc });
}

#define USER_NS                                                                                                                    \
	",{'type':'user'}],'uidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"                                        \
	"'gidMappings':[{'containerID':0,'hostID':100000,'size':65536}],"

static void user_namespace_gives_the_same(void)
{
	run(&(struct scenario){ .members = ",'readonly':true}," USUAL_MOUNTS "," LINUX_NS USER_NS USUAL_PATHS "}}",
				.user_ns = true,
				.terminal = true,
				.prepare = prepare_usual,
				.tune = tune_usual,
				.inside = check_usual });
}

static void init_in_a_user_namespace_can_open_the_sources_itself(void)
{
	run(&(struct scenario){ .members = ",'readonly':true}," USUAL_MOUNTS "," LINUX_NS USER_NS USUAL_PATHS "}}",
				.user_ns = true,
				.late_sources = true,
				.terminal = true,
				.prepare = prepare_usual,
				.tune = tune_usual,
				.inside = check_usual });
}

static void user_namespace_without_pivot_works(void)
{
	run(&(struct scenario){ .members = ",'readonly':true}," USUAL_MOUNTS "," LINUX_NS USER_NS USUAL_PATHS "}}",
				.user_ns = true,
				.no_pivot = true,
				.prepare = prepare_usual,
				.tune = tune_usual });
}

static void tune_unified(struct rootfs_plan *p)
{
	static struct cgroup_view_dir dir = { "unified", "/sys/fs/cgroup/unified" };

	p->cgroup.v = &dir;
	p->cgroup.n = 1;
	p->cgroup.mode = CGROUP_MODE_HYBRID;
}

static void check_cgroup2(void)
{
	expect(magic_of("/cg") == SYS_CGROUP2_SUPER_MAGIC && flags_of("/cg") & ST_RDONLY);
}

static void cgroup2_is_mounted_or_the_own_directory_bound(void)
{
	if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) < 0)
		return;
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/cg','type':'cgroup2','options':['ro']}]," LINUX_NS "]}}",
				.inside = check_cgroup2 });
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/cg','type':'cgroup2','options':['ro']}],'linux':{'namespaces':["
			   "{'type':'mount'},{'type':'pid'}" USER_NS "'maskedPaths':[]}}",
		.user_ns = true,
		.tune = tune_unified,
		.inside = check_cgroup2 });
}

static void check_host_sys(void)
{
	expect(magic_of("/sys") == 0x62656572 && flags_of("/sys") & ST_RDONLY);
	expect(exists("/sys/kernel"));
}

static void user_namespace_without_network_gets_the_hosts_sys_read_only(void)
{
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/sys','type':'sysfs','source':'sysfs'}],'linux':{'namespaces':["
			   "{'type':'mount'},{'type':'pid'}" USER_NS "'maskedPaths':[]}}",
		.user_ns = true,
		.inside = check_host_sys });
}

/* ---- hostile images ---- */

#define NS_END LINUX_NS "]}}"

static void link_proc(void)
{
	expect(mkdir(BASE "/rootfs/fake", 0755) == 0 && symlink("/fake", BASE "/rootfs/proc") == 0);
}

static void proc_that_is_a_link_is_refused(void)
{
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/proc','type':'proc'}]," NS_END,
		.prepare = link_proc,
		.error = "mounts[0] (/proc): the mount point must be a directory, with no symbolic link on the way" });
}

static void link_into_proc(void)
{
	expect(symlink("/proc/self/attr", BASE "/rootfs/a") == 0 && symlink("/proc", BASE "/rootfs/b") == 0);
}

static void mount_through_a_link_into_proc_is_refused(void)
{
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/proc','type':'proc'},{'destination':'/a','type':'tmpfs'}]," NS_END,
		.prepare = link_into_proc,
		.error = "mounts[1] (/a): the target lies in a procfs, where nothing may be mounted" });
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/proc','type':'proc'},{'destination':'/b','type':'tmpfs'}]," NS_END,
		.prepare = link_into_proc,
		.error = "mounts[1] (/b): the target lies in a procfs, where nothing may be mounted" });
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/b','type':'tmpfs'},{'destination':'/proc','type':'proc'}]," NS_END,
		.prepare = link_into_proc,
		.error = "mounts[0] (/b): " });
}

static void false_proc_is_refused(void)
{
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/proc','source':'" BASE "/outside','options':['bind']}]," NS_END,
		.error = "mounts[0] (/proc): only a procfs may be mounted on /proc, and " BASE "/outside is none" });
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/proc','source':'/proc/sys','options':['bind']}]," NS_END,
				.error = "mounts[0] (/proc): only a procfs may be mounted on /proc, and /proc/sys is none" });
}

static void check_bound_proc(void)
{
	expect(magic_of("/proc") == SYS_PROC_SUPER_MAGIC);
	expect_str(get("/proc/uptime"), "host");
}

static void real_proc_may_be_bound_and_lxcfs_files_covered(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/proc','source':'/proc','options':['rbind']},"
					   "{'destination':'/proc/uptime','source':'" BASE
					   "/outside/file','options':['bind']}]," NS_END,
				.inside = check_bound_proc });
}

static void link_dev(void)
{
	expect(symlink(BASE "/outside", BASE "/rootfs/dev") == 0);
}

static void check_outside_untouched(void)
{
	expect(count_entries(BASE "/outside") == 1);
	expect_str(get(BASE "/outside/file"), "host");
}

static void check_dev_in_root(void)
{
	expect(rdev_of(BASE "/outside/null") == makedev(1, 3)); /* below the container's root */
	expect(!exists(BASE "/outside/file"));
}

static void dev_that_is_a_link_stays_in_the_root(void)
{
	run(&(struct scenario){ .members = "}," NS_END,
				.prepare = link_dev,
				.inside = check_dev_in_root,
				.after = check_outside_untouched,
				.terminal = true });
}

static void link_targets(void)
{
	expect(symlink(BASE "/outside", BASE "/rootfs/abs") == 0 && symlink("../../../../../..", BASE "/rootfs/up") == 0);
	expect(symlink("/loop", BASE "/rootfs/loop") == 0);
}

static void check_targets(void)
{
	expect_str(get(BASE "/outside/new"), "host");
	expect(exists("/deep/er"));
}

static void destinations_through_links_stay_in_the_root(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/abs/new','source':'" BASE
					   "/outside/file','options':['bind']},"
					   "{'destination':'/up/deep/er','type':'tmpfs'}]," NS_END,
				.prepare = link_targets,
				.inside = check_targets,
				.after = check_outside_untouched });
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/loop/x','type':'tmpfs'}]," NS_END,
				.prepare = link_targets,
				.error = "mounts[0] (/loop/x): " });
}

static void link_null_and_console(void)
{
	expect(mkdir(BASE "/rootfs/dev", 0755) == 0 && symlink("/proc/sys/kernel/core_pattern", BASE "/rootfs/dev/null") == 0);
	expect(symlink("/victim", BASE "/rootfs/dev/console") == 0);
	put(BASE "/rootfs/victim", "v");
	put(BASE "/rootfs/masked", "m");
}

static void check_null_and_console(void)
{
	expect(rdev_of("/masked") == makedev(1, 3) && S_ISLNK(mode_of("/dev/null")));
	expect_str(get("/victim"), "v");
	expect(S_ISLNK(mode_of("/dev/console")));
}

static void masks_and_console_ignore_what_the_image_put_there(void)
{
	run(&(struct scenario){ .members = "}," LINUX_NS "],'maskedPaths':['/masked']}}",
				.prepare = link_null_and_console,
				.inside = check_null_and_console,
				.terminal = true });
}

static void false_pts(void)
{
	expect(mkdir(BASE "/rootfs/dev", 0755) == 0 && mkdir(BASE "/rootfs/dev/pts", 0755) == 0);
	expect(mkfifo(BASE "/rootfs/dev/pts/ptmx", 0666) == 0 && symlink("/victim", BASE "/rootfs/dev/pts/0") == 0);
}

static void terminal_without_devpts_is_private(void)
{
	run(&(struct scenario){ .members = "}," NS_END, .prepare = false_pts, .terminal = true });
}

/* ---- binds ---- */

static void nested_mounts(void)
{
	expect(mkdir(BASE "/src", 0755) == 0 && mount("tmpfs", BASE "/src", "tmpfs", MS_NOSUID | MS_NOEXEC, NULL) == 0);
	expect(mkdir(BASE "/src/sub", 0755) == 0 && mount("tmpfs", BASE "/src/sub", "tmpfs", MS_NODEV, NULL) == 0);
	expect(mount(NULL, BASE, NULL, MS_SHARED | MS_REC, NULL) == 0);
}

#define BIND(dest, options) "{'destination':'" dest "','source':'" BASE "/src','options':[" options "]}"

static void check_flags(void)
{
	const unsigned long plain = ST_NOSUID | ST_NOEXEC, all = plain | ST_RDONLY | ST_NODEV;

	expect((flags_of("/kept") & all) == plain && (flags_of("/kept/sub") & all) == ST_NODEV);
	expect((flags_of("/ro") & all) == (plain | ST_RDONLY) && (flags_of("/ro/sub") & all) == ST_NODEV);
	expect((flags_of("/rro") & all) == (plain | ST_RDONLY) && (flags_of("/rro/sub") & all) == (ST_NODEV | ST_RDONLY));
	expect((flags_of("/clear") & all) == ST_NOEXEC && (flags_of("/clear/sub") & all) == 0);
	expect(!exists("/one/sub/x") && magic_of("/one") == SYS_TMPFS_MAGIC);
	expect((flags_of("/ropath") & all) == (plain | ST_RDONLY));
	/* none of this may reach the host */
	expect(mkdir("/kept/sub/deeper", 0755) == 0 && mount("tmpfs", "/kept/sub/deeper", "tmpfs", 0, NULL) == 0);
	expect(mkdir("/shared/sub/deeper2", 0755) == 0 && mount("tmpfs", "/shared/sub/deeper2", "tmpfs", 0, NULL) == 0);
	expect(mkdir("/at-root", 0755) == 0 && mount("tmpfs", "/at-root", "tmpfs", 0, NULL) == 0);
}

static void check_nothing_propagated(void)
{
	const char *text = get("/proc/self/mountinfo");

	expect(!strstr(text, "deeper") && !strstr(text, "at-root"));
	expect(strstr(text, BASE "/src/sub") != NULL);
}

static void bind_flags_are_kept_added_and_cleared_without_a_trace_on_the_host(void)
{
	run(&(struct scenario){
		.members = "},'mounts':[" BIND("/kept", "'rbind'") "," BIND("/ro", "'rbind','ro'") "," BIND("/rro", "'rbind','rro'") "," BIND(
			"/clear",
			"'rbind','suid','rdev'") "," BIND("/one",
							  "'bind','rslave'") "," BIND("/shared",
										      "'rbind','rshared'") "," BIND("/ropat"
														    "h",
														    "'rbind"
														    "'") "]"
															 "," LINUX_NS
															 "]"
															 ","
															 "'"
															 "r"
															 "e"
															 "a"
															 "d"
															 "o"
															 "n"
															 "l"
															 "y"
															 "P"
															 "a"
															 "t"
															 "h"
															 "s"
															 "'"
															 ":"
															 "["
															 "'"
															 "/"
															 "r"
															 "o"
															 "p"
															 "a"
															 "t"
															 "h"
															 "'"
															 "]"
															 "}"
															 "}",
		.prepare = nested_mounts,
		.inside = check_flags,
		.after = check_nothing_propagated });
}

static void check_shared_root(void)
{
	expect(strstr(get("/proc/self/mountinfo"), " /rootfs / rw,relatime shared:"));
	expect(mkdir("/s/sub/visible", 0755) == 0 && mount("tmpfs", "/s/sub/visible", "tmpfs", 0, NULL) == 0);
}

static void check_propagated(void)
{
	expect(strstr(get("/proc/self/mountinfo"), BASE "/src/sub/visible") != NULL);
}

static void shared_bind_with_shared_root_reaches_the_host(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/proc','type':'proc'}," BIND(
					"/s", "'rbind','rshared'") "]," LINUX_NS "],'rootfsPropagation':'shared'}}",
				.prepare = nested_mounts,
				.inside = check_shared_root,
				.after = check_propagated });
}

static void mount_deeper(void)
{
	expect(mount("tmpfs", "/s/sub", "tmpfs", 0, NULL) == 0 && mkdir("/s/sub/deeper", 0755) == 0);
	expect(mount("tmpfs", "/s/sub/deeper", "tmpfs", 0, NULL) == 0);
}

static void shared_bind_in_a_user_namespace_does_not(void)
{
	run(&(struct scenario){ .members = "},'mounts':[" BIND("/s", "'rbind','rshared'") "]," LINUX_NS USER_NS
											  "'rootfsPropagation':'shared'}}",
				.user_ns = true,
				.prepare = nested_mounts,
				.inside = mount_deeper,
				.after = check_nothing_propagated });
}

static void check_new_root(void)
{
	expect_str(get("/file"), "host");
	expect(rdev_of("/dev/null") == makedev(1, 3) && magic_of("/proc") == SYS_PROC_SUPER_MAGIC);
	expect(!exists("/before") && exists("/later"));
}

static void bind_on_the_root_becomes_the_root(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/before','type':'tmpfs'},{'destination':'/','source':'" BASE
					   "/outside',"
					   "'options':['rbind']},{'destination':'/proc','type':'proc'},{'destination':'/later',"
					   "'type':'tmpfs'}]," NS_END,
				.inside = check_new_root });
}

static void special_sources(void)
{
	expect(symlink("/target/of/link", BASE "/outside/link") == 0 && symlink("file", BASE "/outside/good") == 0);
	expect(symlink("/elsewhere", BASE "/rootfs/dest-link") == 0);
	put(BASE "/rootfs/elsewhere", "image");
}

static void check_links(void)
{
	expect(links_to("/copied", "/target/of/link"));
	expect_str(get("/plain"), "host");
	expect(links_to("/unfollowed", "/target/of/link"));
	expect_str(get("/elsewhere"), "image");
	expect_str(get("/dest-link"), "host");
}

static void links_as_source_and_destination_do_what_the_options_say(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/copied','source':'" BASE
					   "/outside/link','options':['bind','copy-symlink']},"
					   "{'destination':'/plain','source':'" BASE "/outside/good','options':['bind']},"
					   "{'destination':'/unfollowed','source':'" BASE
					   "/outside/link','options':['bind','src-nofollow','dest-nofollow']},"
					   "{'destination':'/dest-link','source':'" BASE
					   "/outside/file','options':['bind','dest-nofollow']}]," NS_END,
				.prepare = special_sources,
				.inside = check_links });
}

static void missing_source_is_named(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/a','source':'/no/such','options':['bind']}]," NS_END,
				.error = "mounts[0] (/a): /no/such: No such file or directory" });
}

static void own_files(void)
{
	expect(chown(BASE "/outside/file", 3, 3) == 0);
}

static void check_mapped(void)
{
	struct stat st;

	expect(stat("/m/file", &st) == 0 && st.st_uid == 1003 && st.st_gid == 2003);
	expect(stat("/plain/file", &st) == 0 && st.st_uid == 3);
}

static void ids_of_a_bind_are_mapped(void)
{
	run(&(struct scenario){ .members =
					"},'mounts':[{'destination':'/m','source':'" BASE "/outside','options':['bind'],"
					"'uidMappings':[{'containerID':0,'hostID':1000,'size':10}],'gidMappings':[{'containerID':0,"
					"'hostID':2000,'size':10}]},{'destination':'/plain','source':'" BASE
					"/outside','options':['bind']}]," NS_END,
				.prepare = own_files,
				.inside = check_mapped });
}

static void locked_flags_are_kept_unless_they_are_to_be_cleared(void)
{
	run(&(struct scenario){ .members = "},'mounts':[" BIND("/a", "'rbind','ro','noatime'") "]," LINUX_NS USER_NS
											       "'maskedPaths':[]}}",
				.user_ns = true,
				.late_sources = true,
				.prepare = nested_mounts });
	run(&(struct scenario){
		.members = "},'mounts':[" BIND("/a", "'rbind','suid'") "]," LINUX_NS USER_NS "'maskedPaths':[]}}",
		.user_ns = true,
		.late_sources = true,
		.prepare = nested_mounts,
		.error = "mounts[0] (/a): flags to be cleared are locked by the user namespace the mount comes from" });
}

/* ---- new instances ---- */

static void check_mapped_tmpfs(void)
{
	struct stat st;

	expect(stat("/t", &st) == 0 && st.st_uid == 1000 && stat("/t/f", &st) == 0 && st.st_uid == 1003);
}

static void prepare_mapped_tmpfs(void)
{
	expect(mkdir(BASE "/rootfs/t", 0755) == 0);
	put(BASE "/rootfs/t/f", "");
	expect(chown(BASE "/rootfs/t/f", 3, 3) == 0);
}

static void ids_of_a_tmpfs_are_mapped_after_copying(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/t','type':'tmpfs','options':['tmpcopyup',"
					   "'idmap=uids=0-1000-10;gids=0-1000-10']}]," NS_END,
				.prepare = prepare_mapped_tmpfs,
				.inside = check_mapped_tmpfs });
}

static void check_many_layers(void)
{
	expect(exists("/o/in-4") && exists("/o/in-0"));
}

#define LAYER(n) BASE "/layer-with-a-name-that-is-long-enough-to-need-more-than-one-value-" #n

static void prepare_layers(void)
{
	static const char *const dirs[] = { LAYER(0), LAYER(1), LAYER(2), LAYER(3), LAYER(4) };

	for (int i = 0; i < 5; i++) {
		expect(mkdir(dirs[i], 0755) == 0);
		put(arena_printf(&arena, "%s/in-%d", dirs[i], i), "");
	}
}

static void overlay_may_have_more_layers_than_one_value_holds(void)
{
	if (!strstr(get("/proc/filesystems"), "overlay"))
		return;
	run(&(struct scenario){
		.members = "},'mounts':[{'destination':'/o','type':'overlay','source':'overlay','options':['lowerdir=" LAYER(
			0) ":" LAYER(1) ":" LAYER(2) ":" LAYER(3) ":" LAYER(4) "']}]," NS_END,
		.prepare = prepare_layers,
		.inside = check_many_layers });
}

static void dir_to_copy(void)
{
	expect(mkdir(BASE "/rootfs/data", 0711) == 0 && mkdir(BASE "/rootfs/data/d", 01777) == 0);
	expect(chmod(BASE "/rootfs/data/d", 01777) == 0);
	put(BASE "/rootfs/data/d/f", "text");
	expect(chown(BASE "/rootfs/data/d/f", 5, 6) == 0 && chmod(BASE "/rootfs/data/d/f", 04751) == 0);
	expect(symlink("/outside", BASE "/rootfs/data/l") == 0 && mkfifo(BASE "/rootfs/data/p", 0640) == 0);
}

static void check_copied(void)
{
	struct stat st;

	expect(stat("/data/d/f", &st) == 0 && st.st_uid == 5 && st.st_gid == 6 && (st.st_mode & 07777) == 04751);
	expect_str(get("/data/d/f"), "text");
	expect((mode_of("/data/d") & 07777) == 01777 && links_to("/data/l", "/outside") && S_ISFIFO(mode_of("/data/p")));
	expect((mode_of("/data") & 07777) == 0711 && (flags_of("/data") & ST_RDONLY) && count_entries("/data/d") == 1);
	expect((mode_of("/fresh") & 07777) == 01777 && (mode_of("/told") & 07777) == 0700);
}

static void tmpfs_copies_up_and_takes_the_mode(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/data','type':'tmpfs','options':['tmpcopyup','ro']},"
					   "{'destination':'/fresh','type':'tmpfs'},{'destination':'/"
					   "told','type':'tmpfs','options':['mode=700']}]," NS_END,
				.prepare = dir_to_copy,
				.inside = check_copied });
}

static void kernels_reason_is_part_of_the_text(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/a','type':'tmpfs','options':['size=much']}]," NS_END,
				.error = "mounts[0] (/a): size: ",
				.error_too = "Bad value for 'size'" });
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/a','type':'nosuchfs'}]," NS_END,
				.error = "mounts[0] (/a): the kernel knows no file system \"nosuchfs\"" });
}

static void check_remounted(void)
{
	expect((flags_of("/a") & (ST_RDONLY | ST_NOSUID)) == (ST_RDONLY | ST_NOSUID));
}

static void remount_changes_an_earlier_mount(void)
{
	run(&(struct scenario){ .members = "},'mounts':[{'destination':'/a','type':'tmpfs','options':['nosuid']},"
					   "{'destination':'/a','options':['bind','remount','ro']}]," NS_END,
				.inside = check_remounted });
}

/* ---- devices, chroot, procfs ---- */

static void fake_device(void)
{
	expect(mkdir(BASE "/rootfs/dev", 0755) == 0);
	put(BASE "/rootfs/dev/null", "not the device");
}

static void check_kept(void)
{
	expect(S_ISREG(mode_of("/dev/null")) && S_ISCHR(mode_of("/dev/zero")));
	struct stat st;

	expect(stat("/dev/own", &st) == 0 && st.st_uid == 9 && (st.st_mode & 07777) == 0640 && st.st_rdev == makedev(1, 5));
}

static void defaults_keep_what_is_there_but_listed_devices_insist(void)
{
	run(&(struct scenario){ .members = "}," LINUX_NS
					   "],'devices':[{'path':'/dev/own','type':'c','major':1,'minor':5,'fileMode':416,"
					   "'uid':9}]}}",
				.prepare = fake_device,
				.inside = check_kept });
	run(&(struct scenario){ .members = "}," LINUX_NS "],'devices':[{'path':'/dev/null','type':'c','major':1,'minor':3}]}}",
				.prepare = fake_device,
				.error = "linux.devices[0] (/dev/null): there is something else at that path" });
}

static void check_chroot(void)
{
	expect(exists("/image") && !exists(BASE) && rdev_of("/dev/null") == makedev(1, 3));
}

static void marker(void)
{
	put(BASE "/rootfs/image", "");
}

static void without_mount_namespace_it_is_a_chroot(void)
{
	run(&(struct scenario){
		.members = "},'linux':{'namespaces':[{'type':'pid'}]}}", .prepare = marker, .inside = check_chroot });
}

static void private_procfs_follows_no_links(void)
{
	struct err e;
	char text[64] = "";
	auto_fd int proc = proc_fs_open(false, NULL, &e);
	auto_fd int full = proc_fs_open(true, NULL, &e);
	auto_fd int file = proc_fs_file(proc, "self/comm", O_RDONLY, &e);

	expect(proc >= 0 && full >= 0 && file >= 0);
	expect(read(file, text, sizeof(text) - 1) > 0 && str_starts(text, "test_rootfs_app"));
	expect(proc_fs_file(proc, "sys/kernel/ostype", O_RDONLY, &e) == -ENOENT);
	expect_str(e.text, "/proc/sys/kernel/ostype: No such file or directory");
	expect(proc_fs_file(full, "self/exe", O_RDONLY, &e) == -ELOOP);
	expect(proc_fs_file(full, "self/root/etc", O_RDONLY, &e) == -ELOOP);
	expect(proc_fs_file(full, "../etc/passwd", O_RDONLY, &e) < 0);
	expect(proc_fs_write(full, "thread-self/comm", "renamed", &e) == 0);
	expect(proc_fs_write(full, "self/comm", "test_rootfs_app", &e) == 0);
	expect(proc_fs_write(full, "version", "x", &e) < 0 && str_starts(e.text, "/proc/version: "));
}

int main(void)
{
	static const struct tap_case cases[] = {
		CASE(usual_container_has_what_programs_expect),
		CASE(no_pivot_gives_the_same),
		CASE(user_namespace_gives_the_same),
		CASE(init_in_a_user_namespace_can_open_the_sources_itself),
		CASE(user_namespace_without_pivot_works),
		CASE(cgroup2_is_mounted_or_the_own_directory_bound),
		CASE(locked_flags_are_kept_unless_they_are_to_be_cleared),
		CASE(ids_of_a_tmpfs_are_mapped_after_copying),
		CASE(overlay_may_have_more_layers_than_one_value_holds),
		CASE(user_namespace_without_network_gets_the_hosts_sys_read_only),
		CASE(proc_that_is_a_link_is_refused),
		CASE(mount_through_a_link_into_proc_is_refused),
		CASE(false_proc_is_refused),
		CASE(real_proc_may_be_bound_and_lxcfs_files_covered),
		CASE(dev_that_is_a_link_stays_in_the_root),
		CASE(destinations_through_links_stay_in_the_root),
		CASE(masks_and_console_ignore_what_the_image_put_there),
		CASE(terminal_without_devpts_is_private),
		CASE(bind_flags_are_kept_added_and_cleared_without_a_trace_on_the_host),
		CASE(shared_bind_with_shared_root_reaches_the_host),
		CASE(shared_bind_in_a_user_namespace_does_not),
		CASE(bind_on_the_root_becomes_the_root),
		CASE(links_as_source_and_destination_do_what_the_options_say),
		CASE(missing_source_is_named),
		CASE(ids_of_a_bind_are_mapped),
		CASE(tmpfs_copies_up_and_takes_the_mode),
		CASE(kernels_reason_is_part_of_the_text),
		CASE(remount_changes_an_earlier_mount),
		CASE(defaults_keep_what_is_there_but_listed_devices_insist),
		CASE(without_mount_namespace_it_is_a_chroot),
		CASE(private_procfs_follows_no_links),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP mounting needs root\n");
		return 0;
	}
	return tap_run(cases, sizeof(cases) / sizeof(cases[0]));
}
