#include "base/str.h"
#include "oci/spec.h"
#include "rootfs/rootfs.h"
#include "tap.h"

#include <errno.h>
#include <sys/stat.h>

static struct arena arena;
static struct rootfs_plan plan;
static struct err err;
static struct host host;

/* Builds the plan of {"ociVersion", "root", <members>}; members is JSON with single quotes. */
static int build_with(const char *members, bool no_pivot)
{
	struct rootfs_options o = { .no_pivot = no_pivot };
	const struct oci_spec *spec;
	char *text = arena_printf(&arena, "{'ociVersion':'1.2.0','root':{'path':'rootfs'},%s}", members);

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	memset(&plan, 0, sizeof(plan));
	strcpy(err.text, "");
	if (oci_spec_parse(&arena, text, strlen(text), &spec, &err) < 0)
		return -999;
	return rootfs_plan_build(spec, "/bundle", &o, &host, &arena, &plan, &err);
}

static int build(const char *members)
{
	return build_with(members, false);
}

#define NS "'linux':{'namespaces':[{'type':'mount'}]}"

/* One mount in a container with a mount namespace; `m` is its JSON without the braces. */
static int build_mount(const char *m)
{
	return build(arena_printf(&arena, "%s,'mounts':[{%s}]", NS, m));
}

/* The printed operation of that one mount, or the error. */
static const char *mount_text(const char *m)
{
	struct strbuf b = STRBUF(&arena);
	char *line, *end;

	if (build_mount(m) < 0)
		return err.text;
	rootfs_plan_print(&plan, &b);
	line = strchr(b.text, '\n') + 1;
	end = strchr(line, '\n');
	return arena_strndup(&arena, line, (size_t)(end - line));
}

static void reset(void)
{
	arena_release(&arena);
	host = (struct host){ .initial_userns = true, .cgroup_mode = CGROUP_MODE_V2 };
}

static void option_words_are_sorted_and_complete(void)
{
	const char *const *w = rootfs_option_words();
	size_t n = 0;

	for (; w[n]; n++)
		if (n)
			expect(strcmp(w[n - 1], w[n]) < 0);
	expect(n == 70);
	reset();
	for (size_t i = 0; i < n; i++) /* each is found by the parser: on a bind an unknown word is refused */
		expect(strstr(mount_text(arena_printf(&arena, "'destination':'/a','source':'/b','options':['bind','%s','%s']", w[i],
						      strcmp(w[i], "remount") ? "ro" : "bind")),
			      "unknown option") == NULL);
}

static void only_the_option_makes_a_bind(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','type':'tmpfs','source':'/b','options':['rbind','ro']"), "rbind /a source=/b ro");
	expect_str(mount_text("'destination':'/a','type':'bind','source':'/b','options':['ro']"),
		   "mounts[0] (/a): type \"bind\" without the option bind or rbind");
	expect_str(mount_text("'destination':'/a','source':'/b'"), "mounts[0] (/a): type \"\" without the option bind or rbind");
	expect_str(mount_text("'destination':'/a','type':'none','options':['bind']"),
		   "mounts[0] (/a): a bind mount needs a source");
}

static void relative_names_are_completed(void)
{
	reset();
	expect_str(mount_text("'destination':'a/../b//c','source':'vol','options':['bind']"), "bind /b/c source=/bundle/vol");
	expect_str(plan.root, "/bundle/rootfs");
}

static void data_on_a_bind_is_refused(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','size=1m']"),
		   "mounts[0] (/a): unknown option \"size=1m\"");
}

static void later_words_win(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','ro','rw','nosuid','dev','nodev']"),
		   "bind /a source=/b rw nosuid nodev");
	expect(plan.mounts[0].attr_set == (SYS_MOUNT_ATTR_NOSUID | SYS_MOUNT_ATTR_NODEV));
	expect(plan.mounts[0].attr_clr == SYS_MOUNT_ATTR_RDONLY);
}

static void access_time_is_one_field(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','noatime','strictatime','rrelatime']"),
		   "bind /a source=/b strictatime rrelatime");
	expect(plan.mounts[0].attr_set == SYS_MOUNT_ATTR_STRICTATIME);
	expect(plan.mounts[0].attr_clr == SYS_MOUNT_ATTR_ATIME);
	expect(plan.mounts[0].rec_attr_clr == SYS_MOUNT_ATTR_ATIME);
}

static void recursive_words_stay_apart(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['rbind','rro','nosuid','rnodev','rprivate','rexec']"),
		   "rbind /a source=/b nosuid rro rnodev rexec rprivate");
}

static void five_propagation_words_are_too_many(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','slave','shared','slave','shared','slave']"),
		   "mounts[0] (/a): more than 4 propagation options");
}

static void data_words_become_parameters(void)
{
	reset();
	expect_str(
		mount_text(
			"'destination':'/a','type':'tmpfs','source':'tmpfs','options':['nosuid','size=1m,nr_inodes=7','mode=1777',"
			"'acl','sync','context=\\\"a:b:c1,c2\\\"']"),
		"fs /a type=tmpfs source=tmpfs nosuid -o size=1m -o nr_inodes=7 -o mode=1777 -o acl -o sync -o context=a:b:c1,c2");
}

static void tmpfs_takes_the_mode_and_waits_with_ro(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','type':'tmpfs','options':['ro','tmpcopyup']"),
		   "fs /a type=tmpfs late-ro mode-of-target tmpcopyup");
	expect_str(mount_text("'destination':'/sys','type':'sysfs','options':['ro']"), "fs /sys type=sysfs ro sb-ro");
	expect_str(mount_text("'destination':'/a','type':'ext4','source':'/dev/x','options':['tmpcopyup']"),
		   "mounts[0] (/a): tmpcopyup is for tmpfs only");
}

static void only_procfs_goes_on_proc(void)
{
	reset();
	expect_str(mount_text("'destination':'/proc','type':'tmpfs'"), "mounts[0] (/proc): only a procfs may be mounted on /proc");
	expect_str(mount_text("'destination':'/proc/','type':'proc','source':'proc'"), "fs /proc type=proc source=proc");
	expect_str(mount_text("'destination':'/x/../proc/self/attr','type':'tmpfs'"),
		   "mounts[0] (/x/../proc/self/attr): nothing may be mounted there below /proc");
	expect_str(mount_text("'destination':'/proc/net/dev','source':'/x','options':['bind']"),
		   "mounts[0] (/proc/net/dev): nothing may be mounted there below /proc");
	expect_str(mount_text("'destination':'/proc/cpuinfo','source':'/x','options':['bind']"), "bind /proc/cpuinfo source=/x");
}

static void cgroup_kind_follows_the_host(void)
{
	reset();
	expect_str(mount_text("'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup','options':['ro','nsdelegate']"),
		   "cgroup-v2 /sys/fs/cgroup source=cgroup ro -o nsdelegate");
	host.cgroup_mode = CGROUP_MODE_HYBRID;
	expect_str(mount_text("'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup','options':['ro']"),
		   "cgroup-v1 /sys/fs/cgroup source=cgroup ro");
	expect_str(mount_text("'destination':'/sys/fs/cgroup','type':'cgroup2'"), "cgroup-v2 /sys/fs/cgroup");
	host.cgroup_mode = CGROUP_MODE_NONE;
	expect_str(mount_text("'destination':'/c','type':'cgroup'"), "mounts[0] (/c): the host has no cgroup file system");
}

static void the_hosts_cgroup2_is_bound_where_there_is_no_cgroup_namespace(void)
{
	static const struct host_hierarchy v2 = { .mount = "/sys/fs/cgroup", .controllers = "", .own = "/", .v2 = true };

	reset();
	host.hier = &v2;
	host.n_hier = 1;
	expect(build(NS) == 0);
	expect(plan.cgroup2_mount);
	expect_str(plan.cgroup2_mount ? plan.cgroup2_mount : "none", "/sys/fs/cgroup");
	expect(build("'linux':{'namespaces':[{'type':'mount'},{'type':'cgroup'}]}") == 0);
	expect(!plan.cgroup2_mount);
}

static void read_only_concerns_no_superblock_that_is_the_hosts(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','type':'overlay','options':['ro']"), "fs /a type=overlay ro sb-ro");
	expect_str(mount_text("'destination':'/a','type':'devtmpfs','options':['ro']"), "fs /a type=devtmpfs ro");
	expect_str(mount_text("'destination':'/a','type':'debugfs','options':['ro']"), "fs /a type=debugfs ro");
	expect_str(mount_text("'destination':'/a','type':'overlay','options':['ro','rrw']"), "fs /a type=overlay ro rrw");
}

static void recursive_read_only_tmpfs_waits_too(void)
{
	reset();
	expect(build_mount("'destination':'/a','type':'tmpfs','options':['rro']") == 0);
	expect(plan.mounts[0].late_readonly && !plan.mounts[0].rec_attr_set);
	expect(build_mount("'destination':'/a','type':'tmpfs','options':['ro','rrw']") == 0);
	expect(!plan.mounts[0].late_readonly);
}

#define DEVPTS_WITH_IDS(n)                                                                                                         \
	"'linux':{'namespaces':[{'type':'mount'},{'type':'user'}],'uidMappings':[{'containerID':0,'hostID':1000,'size':" n         \
	"}],'gidMappings':[{'containerID':0,'hostID':1000,'size':" n "}]},'mounts':[{'destination':'/dev/pts',"                    \
	"'type':'devpts','options':['gid=5','mode=0620']}]"

static void gid_that_is_not_mapped_is_dropped_from_devpts(void)
{
	reset();
	expect(build(DEVPTS_WITH_IDS("5")) == 0);
	expect(plan.mounts[0].n_params == 1);
	expect_str(plan.mounts[0].params[0].key, "mode");
	expect(build(DEVPTS_WITH_IDS("6")) == 0);
	expect(plan.mounts[0].n_params == 2);
	expect(plan.user_ns);
}

static void idmap_needs_somebodys_maps(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','idmap']"),
		   "mounts[0] (/a): idmap without mappings, and the container has no user namespace");
	expect_str(
		mount_text(
			"'destination':'/a','source':'/b','options':['bind'],'uidMappings':[{'containerID':0,'hostID':5,'size':1}]"
			",'gidMappings':[{'containerID':0,'hostID':6,'size':1}]"),
		"bind /a source=/b idmap uids=0-5-1 gids=0-6-1");
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','ridmap=uids=0-5-1#1-9-2;gids=0-6-1']"),
		   "bind /a source=/b ridmap uids=0-5-1#1-9-2 gids=0-6-1");
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','idmap=uids=0-5;gids=0-6-1']"),
		   "mounts[0] (/a): option \"idmap=uids=0-5;gids=0-6-1\": \"0-5\" is not CONTAINER-HOST-SIZE");
	expect_str(mount_text("'destination':'/a','source':'/b','options':['bind','idmap=uids=0-5-1']"),
		   "mounts[0] (/a): idmap needs both uids= and gids=");
}

static void relative_idmap_goes_through_the_containers_map(void)
{
	reset();
	expect(build("'linux':{'namespaces':[{'type':'mount'},{'type':'user'}],'uidMappings':[{'containerID':0,'hostID':1000,'size'"
		     ":10}],"
		     "'gidMappings':[{'containerID':0,'hostID':2000,'size':10}]},'mounts':[{'destination':'/a','source':'/b',"
		     "'options':['bind','idmap=uids=@0-3-1;gids=@0-4-1']}]") == 0);
	expect(plan.mounts[0].uid_map.v[0].host_id == 1003);
	expect(plan.mounts[0].gid_map.v[0].host_id == 2004);
}

static void without_mount_namespace_nothing_is_mounted(void)
{
	reset();
	expect(build("'mounts':[{'destination':'/a','type':'tmpfs'}]") == -EINVAL);
	expect_str(err.text, "mounts: the container has no mount namespace of its own");
	expect(build("'linux':{'namespaces':[{'type':'mount','path':'/proc/1/ns/mnt'}],'maskedPaths':['/x']}") == -EINVAL);
	expect_str(err.text, "linux.maskedPaths: the container has no mount namespace of its own");
	expect(build("'linux':{'readonlyPaths':['/x']}") == -EINVAL);
	expect(build("'linux':{'rootfsPropagation':'private'}") == -EINVAL);
	expect(build("'linux':{}") == 0 && !plan.new_mount_ns);
}

static void private_root_needs_pivot(void)
{
	const char *members = "'linux':{'namespaces':[{'type':'mount'}],'rootfsPropagation':'rprivate'}";

	reset();
	expect(build_with(members, true) == -EINVAL);
	expect_str(err.text, "linux.rootfsPropagation: private is not possible without pivot_root");
	expect(build_with(members, false) == 0 && plan.propagation == (MS_PRIVATE | MS_REC));
}

static void label_needs_selinux(void)
{
	const char *members = "'linux':{'namespaces':[{'type':'mount'}],'mountLabel':'a:b:c'},'annotations':{"
			      "'run.oci.mount_context_type':'rootcontext'},'mounts':[{'destination':'/a','type':'tmpfs'},"
			      "{'destination':'/proc','type':'proc'},{'destination':'/q','type':'mqueue'}]";

	reset();
	expect(build(members) == -EINVAL);
	expect_str(err.text, "linux.mountLabel: SELinux is not active on this host");
	host.selinux = true;
	expect(build(members) == 0);
	expect_str(plan.mounts[0].params[0].key, "rootcontext");
	expect_str(plan.mounts[0].params[0].value, "a:b:c");
	expect(plan.mounts[1].n_params == 0 && plan.mounts[1].label == NULL);
	expect(plan.mounts[2].n_params == 0 && strcmp(plan.mounts[2].label, "a:b:c") == 0);
}

#define DEVICES(list) "'linux':{'namespaces':[{'type':'mount'}],'devices':[" list "]}"

static void listed_device_replaces_the_default(void)
{
	reset();
	expect(build(DEVICES("{'path':'/dev/null','type':'c','major':1,'minor':3,'fileMode':8576,'uid':7},"
			     "{'path':'/dev/pipe','type':'p'}")) == 0);
	expect(plan.n_devices == 7);
	expect_str(plan.devices[0].path, "/dev/zero");
	expect_str(plan.devices[5].path, "/dev/null");
	expect(plan.devices[5].mode == 0600 && plan.devices[5].uid == 7 && !plan.devices[5].is_default);
	expect(plan.devices[6].type == S_IFIFO);
}

static void bad_devices_are_named(void)
{
	reset();
	expect(build(DEVICES("{'path':'/dev/x/../..','type':'c','major':1,'minor':1}")) == -EINVAL);
	expect_str(err.text, "linux.devices[0] (/dev/x/../..): the path names no file");
	expect(build("'linux':{'namespaces':[{'type':'user'}],'devices':[{'path':'/dev/x','type':'c','major':1,'minor':1}]}") ==
	       -EINVAL);
	expect_str(err.text, "linux.devices[0] (/dev/x): a user namespace without a mount namespace cannot have devices");
}

static void bind_on_dev_leaves_it_alone(void)
{
	reset();
	expect(build(NS ",'mounts':[{'destination':'/dev/','source':'/dev','options':['rbind']}]") == 0);
	expect(!plan.setup_dev && plan.n_devices == 0);
}

static void masked_paths_are_cleaned_and_unique(void)
{
	reset();
	expect(build("'linux':{'namespaces':[{'type':'mount'}],'maskedPaths':['/proc/kcore','/proc//kcore/','/x']}") == 0);
	expect(plan.n_masked == 2);
	expect(build("'linux':{'namespaces':[{'type':'mount'}],'maskedPaths':['/x/..']}") == -EINVAL);
	expect_str(err.text, "linux.maskedPaths[0]: \"/x/..\" is not an absolute path below /");
}

static void whole_plan_prints_stably(void)
{
	struct strbuf b = STRBUF(&arena);

	reset();
	expect(build("'linux':{'namespaces':[{'type':'mount'}],'maskedPaths':['/m'],'readonlyPaths':['/"
		     "r'],'rootfsPropagation':'rslave',"
		     "'devices':[{'path':'/dev/b','type':'b','major':8,'minor':1,'gid':6}]},"
		     "'mounts':[{'destination':'/a','source':'/s','options':['bind','ro','rslave']}]") == 0);
	rootfs_plan_print(&plan, &b);
	expect_str(b.text, "root /bundle/rootfs rslave\n"
			   "bind /a source=/s ro rslave\n"
			   "device /dev/null c 1:3 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/zero c 1:5 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/full c 1:7 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/random c 1:8 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/urandom c 1:9 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/tty c 5:0 mode=0666 uid=0 gid=0 default\n"
			   "device /dev/b b 8:1 mode=0666 uid=0 gid=6\n"
			   "dev-links\n"
			   "readonly /r\n"
			   "mask /m\n");
}

static void remount_changes_attributes_only(void)
{
	reset();
	expect_str(mount_text("'destination':'/a','options':['bind','remount','ro']"), "remount /a ro");
	expect_str(mount_text("'destination':'/a','type':'tmpfs','options':['remount','size=1m']"),
		   "mounts[0] (/a): a remount cannot change the option \"size\" of the file system");
	reset();
}

TAP_MAIN(CASE(option_words_are_sorted_and_complete), CASE(only_the_option_makes_a_bind), CASE(relative_names_are_completed),
	 CASE(data_on_a_bind_is_refused), CASE(later_words_win), CASE(access_time_is_one_field), CASE(recursive_words_stay_apart),
	 CASE(five_propagation_words_are_too_many), CASE(data_words_become_parameters),
	 CASE(tmpfs_takes_the_mode_and_waits_with_ro), CASE(only_procfs_goes_on_proc), CASE(cgroup_kind_follows_the_host),
	 CASE(the_hosts_cgroup2_is_bound_where_there_is_no_cgroup_namespace),
	 CASE(read_only_concerns_no_superblock_that_is_the_hosts), CASE(recursive_read_only_tmpfs_waits_too),
	 CASE(gid_that_is_not_mapped_is_dropped_from_devpts), CASE(idmap_needs_somebodys_maps),
	 CASE(relative_idmap_goes_through_the_containers_map), CASE(without_mount_namespace_nothing_is_mounted),
	 CASE(private_root_needs_pivot), CASE(label_needs_selinux), CASE(listed_device_replaces_the_default),
	 CASE(bad_devices_are_named), CASE(bind_on_dev_leaves_it_alone), CASE(masked_paths_are_cleaned_and_unique),
	 CASE(whole_plan_prints_stably), CASE(remount_changes_attributes_only))
