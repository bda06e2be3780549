# Turns the base config into what a Docker-like caller sends: its mounts, its masked and read-only paths, a deny-all device list,
# resources, and the seccomp profile of the package golang-github-containers-common in the form that runtimes take.
#
#   jq -f docker_config.jq --slurpfile profile /usr/share/containers/seccomp.json --arg id ID --arg files DIR CONFIG
#
# DIR holds hostname, hosts and resolv.conf.

def caps: ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"];

# A rule of the profile holds for this machine and these capabilities?
def holds:
  ((.includes.arches // []) | length == 0 or any(. == "amd64")) and
  ((.includes.caps // []) | all(. as $c | caps | any(. == $c))) and
  ((.excludes.arches // []) | all(. != "amd64")) and
  ((.excludes.caps // []) | all(. as $c | caps | all(. != $c)));

def seccomp:
  { defaultAction, defaultErrnoRet,
    architectures: ([.archMap[] | select(.architecture == "SCMP_ARCH_X86_64")] | map(.architecture, .subArchitectures[])),
    syscalls: [.syscalls[] | select(holds)
      | { names, action, args: (.args // []), errnoRet } | if .errnoRet == null then del(.errnoRet) else . end
      | if .args == [] then del(.args) else . end] };

.process.capabilities = { bounding: caps, effective: caps, permitted: caps }
| .process.noNewPrivileges = false
| .process.oomScoreAdj = 0
| .process.rlimits = [{ type: "RLIMIT_NOFILE", hard: 4096, soft: 1024 }]
| .process.apparmorProfile = null | del(.process.apparmorProfile)
| .hostname = ($id[0:12])
| .mounts = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=65536k"] },
    { destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid", "noexec", "nodev"] },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"] },
    (("resolv.conf", "hostname", "hosts") | { destination: ("/etc/" + .), type: "bind", source: ($files + "/" + .), options: ["rbind", "rprivate"] }) ]
| .linux.namespaces = [("mount", "network", "uts", "pid", "ipc", "cgroup") | { type: . }]
| .linux.maskedPaths = ["/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"]
| .linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
| .linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647" }
| .linux.resources = {
    devices: ([{ allow: false, access: "rwm" }]
      + [([1, 5], [1, 3], [1, 9], [1, 8], [5, 0], [5, 1]) | { allow: true, type: "c", major: .[0], minor: .[1], access: "rwm" }]
      + [{ allow: false, type: "c", major: 10, minor: 229, access: "rwm" }]),
    memory: { disableOOMKiller: false }, cpu: { shares: 0 }, blockIO: { weight: 0 }, pids: { limit: 2048 } }
| .linux.seccomp = ($profile[0] | seccomp)
