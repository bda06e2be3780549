#!/usr/bin/env python3
"""Bad configurations by the hundred, and whether the runtime refuses each one as it should.

    bad_configs.py list                            prints name and expected place of each
    bad_configs.py covers SCHEMA_DUMP              whether the base configuration has every member of the runtime's tables
    bad_configs.py check RUNTIME BUNDLE DIR COUNT  `check` on a sample of them; on all, if there are no more than twice as many
    bad_configs.py run RUNTIME BUNDLE DIR COUNT    `run` on a sample
    bad_configs.py large RUNTIME BUNDLE DIR        `plan` of documents with very long lists, good or not: bounded as well

Every configuration is one good one (base(), which has every member of the tables) with one thing made wrong, so it is known where
the runtime must find the fault. `check` must print exactly that line, `run` one line with it, both with status 1, in bounded time
and memory, and without a word of a sanitizer. DIR is for files and the state directory; a state directory that is not empty after
a run is a failure. What a fault costs nothing to find is fast: all of them take seconds. Prints what is wrong and at last the
number of configurations; status 1 when anything is wrong.
"""
import copy
import json
import pathlib
import re
import subprocess
import sys

SECONDS = 10  # of CPU time: a machine may be busy
MEMORY = 256 << 20
LONG_NAME = "x" * 5000


# ------------------------------------------------------------------------------------------------------------------ the good one


def base():
    """Has every member of the tables at least once. A host may be unable to honour it; the document is in order."""
    hook = {"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    throttle = [{"major": 8, "minor": 0, "rate": 1000}]
    caps = ["CAP_CHOWN", "CAP_KILL"]
    return {
        "ociVersion": "1.3.0", "hostname": "h", "domainname": "d", "annotations": {"a.b": "c"},
        "root": {"path": "rootfs", "readonly": True},
        "process": {
            "terminal": False, "noNewPrivileges": True, "cwd": "/", "args": ["true", "x"], "env": ["A=b", "C=d"],
            "apparmorProfile": "p", "selinuxLabel": "l", "oomScoreAdj": 1, "consoleSize": {"height": 24, "width": 80},
            "user": {"uid": 1, "gid": 1, "umask": 18, "additionalGids": [2, 3], "username": "u"},
            "capabilities": {s: list(caps) for s in ("bounding", "permitted", "effective", "inheritable", "ambient")},
            "scheduler": {"policy": "SCHED_DEADLINE", "nice": 0, "priority": 0, "flags": ["SCHED_FLAG_RECLAIM"], "runtime": 1,
                          "deadline": 2, "period": 3},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
            "execCPUAffinity": {"initial": "0", "final": "0-1"},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 64, "soft": 64}, {"type": "RLIMIT_CORE", "hard": 0, "soft": 0}],
        },
        "hooks": {k: [copy.deepcopy(hook)] for k in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart",
                                                     "poststop")},
        "mounts": [{"destination": "/proc", "source": "proc", "type": "proc", "options": ["nosuid"]},
                   {"destination": "/mnt", "source": "/mnt", "type": "none", "options": ["bind", "idmap"],
                    "uidMappings": copy.deepcopy(mapping), "gidMappings": copy.deepcopy(mapping)}],
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "user"}, {"type": "network", "path": "/proc/1/ns/net"}],
            "uidMappings": copy.deepcopy(mapping), "gidMappings": copy.deepcopy(mapping),
            "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 0}],
            "netDevices": {"eth0": {"name": "eth1"}}, "timeOffsets": {"monotonic": {"secs": 1, "nanosecs": 1}},
            "sysctl": {"net.ipv4.ip_forward": "1"}, "maskedPaths": ["/proc/kcore", "/proc/keys"],
            "readonlyPaths": ["/proc/sys", "/proc/irq"], "cgroupsPath": "/x", "mountLabel": "l", "rootfsPropagation": "slave",
            "resources": {
                "devices": [{"allow": False, "type": "a", "access": "rwm", "major": -1, "minor": -1}],
                "memory": {"limit": 1 << 30, "reservation": 1 << 29, "swap": 1 << 30, "kernel": 1, "kernelTCP": 1, "swappiness": 0,
                           "disableOOMKiller": False, "useHierarchy": False, "checkBeforeUpdate": True},
                "cpu": {"cpus": "0", "mems": "0", "shares": 1024, "period": 100000, "realtimePeriod": 1, "burst": 0, "quota": -1,
                        "realtimeRuntime": 0, "idle": 0},
                "pids": {"limit": 10},
                "blockIO": {"weight": 100, "leafWeight": 100,
                            "weightDevice": [{"major": 8, "minor": 0, "weight": 100, "leafWeight": 100}],
                            "throttleReadBpsDevice": copy.deepcopy(throttle), "throttleWriteBpsDevice": copy.deepcopy(throttle),
                            "throttleReadIOPSDevice": copy.deepcopy(throttle), "throttleWriteIOPSDevice": copy.deepcopy(throttle)},
                "network": {"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 0}], "rdma": {"mlx5": {"hcaHandles": 1, "hcaObjects": 1}},
                "unified": {"memory.high": "max"},
            },
            "seccomp": {
                "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/l", "listenerMetadata": "m",
                "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
                             {"names": ["write", "open"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
                              "args": [{"index": 0, "value": 1, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]}]},
            "intelRdt": {"closID": "c", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L3:0=f"],
                         "enableMonitoring": False},
            "personality": {"domain": "LINUX", "flags": ["X"]},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
        },
        "vm": {"hypervisor": {"path": "/h", "parameters": ["a"]}, "kernel": {"path": "/k", "initrd": "/i", "parameters": ["a"]},
               "image": {"path": "/i", "format": "raw"},
               "hwConfig": {"deviceTree": "/t", "vcpus": 1, "memory": 1, "dtdevs": ["a"], "irqs": [1, 2],
                            "iomems": [{"firstGFN": 1, "firstMFN": 1, "nrMFNs": 1}]}},
    }


def runnable():
    """A configuration that the tests' bundle runs, for faults of which `run` must make nothing."""
    return {
        "ociVersion": "1.3.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["/bin/true"]},
        "mounts": [{"destination": "/proc", "source": "proc", "type": "proc"}],
        "linux": {"namespaces": [{"type": t} for t in ("mount", "pid", "network", "ipc", "uts")],
                  "resources": {"devices": [{"allow": False, "access": "rwm"}]}},
    }


# Members that the specification requires, and that the tables require (tests/lint/schema.py says where the two differ).
REQUIRED = """ociVersion root.path process.cwd process.args process.consoleSize.height process.consoleSize.width
process.scheduler.policy process.ioPriority.class process.rlimits[].type process.rlimits[].hard process.rlimits[].soft
hooks.prestart[].path hooks.createRuntime[].path hooks.createContainer[].path hooks.startContainer[].path hooks.poststart[].path
hooks.poststop[].path linux.namespaces[].type linux.uidMappings[].containerID linux.uidMappings[].hostID linux.uidMappings[].size
linux.gidMappings[].containerID linux.gidMappings[].hostID linux.gidMappings[].size linux.devices[].type linux.devices[].path
linux.resources.devices[].allow linux.resources.blockIO.weightDevice[].major linux.resources.blockIO.weightDevice[].minor
linux.resources.blockIO.throttleReadBpsDevice[].major linux.resources.blockIO.throttleReadBpsDevice[].minor
linux.resources.blockIO.throttleWriteBpsDevice[].major linux.resources.blockIO.throttleWriteBpsDevice[].minor
linux.resources.blockIO.throttleReadIOPSDevice[].major linux.resources.blockIO.throttleReadIOPSDevice[].minor
linux.resources.blockIO.throttleWriteIOPSDevice[].major linux.resources.blockIO.throttleWriteIOPSDevice[].minor
linux.resources.network.priorities[].name linux.resources.network.priorities[].priority linux.resources.hugepageLimits[].pageSize
linux.resources.hugepageLimits[].limit linux.seccomp.syscalls[].names linux.seccomp.syscalls[].action
linux.seccomp.syscalls[].args[].index linux.seccomp.syscalls[].args[].value linux.seccomp.syscalls[].args[].op
linux.personality.domain linux.memoryPolicy.mode vm.hypervisor.path vm.kernel vm.kernel.path vm.image.path
vm.hwConfig.iomems[].firstMFN vm.hwConfig.iomems[].nrMFNs mounts[].destination mounts[].uidMappings[].containerID
mounts[].uidMappings[].hostID mounts[].uidMappings[].size mounts[].gidMappings[].containerID mounts[].gidMappings[].hostID
mounts[].gidMappings[].size linux.seccomp.defaultAction""".split()

# The bits of each number; negative: signed.
UNSIGNED32 = """process.user.uid process.user.gid process.user.umask process.user.additionalGids[] linux.devices[].fileMode
linux.devices[].uid linux.devices[].gid linux.uidMappings[].containerID linux.uidMappings[].hostID linux.uidMappings[].size
linux.gidMappings[].containerID linux.gidMappings[].hostID linux.gidMappings[].size mounts[].uidMappings[].containerID
mounts[].uidMappings[].hostID mounts[].uidMappings[].size mounts[].gidMappings[].containerID mounts[].gidMappings[].hostID
mounts[].gidMappings[].size linux.timeOffsets{}.nanosecs linux.resources.network.classID
linux.resources.network.priorities[].priority linux.resources.rdma{}.hcaHandles linux.resources.rdma{}.hcaObjects
linux.seccomp.defaultErrnoRet linux.seccomp.syscalls[].errnoRet linux.seccomp.syscalls[].args[].index vm.hwConfig.vcpus
vm.hwConfig.irqs[]""".split()
UNSIGNED16 = """linux.resources.blockIO.weight linux.resources.blockIO.leafWeight linux.resources.blockIO.weightDevice[].weight
linux.resources.blockIO.weightDevice[].leafWeight""".split()
SIGNED32 = "process.scheduler.nice process.scheduler.priority process.ioPriority.priority".split()
SIGNED64 = """process.oomScoreAdj linux.devices[].major linux.devices[].minor linux.timeOffsets{}.secs
linux.resources.devices[].major linux.resources.devices[].minor linux.resources.memory.limit linux.resources.memory.reservation
linux.resources.memory.swap linux.resources.memory.kernel linux.resources.memory.kernelTCP linux.resources.cpu.quota
linux.resources.cpu.realtimeRuntime linux.resources.cpu.idle linux.resources.pids.limit
linux.resources.blockIO.weightDevice[].major linux.resources.blockIO.weightDevice[].minor""".split()
SIGNED64 += [f"linux.resources.blockIO.throttle{k}Device[].{m}" for k in ("ReadBps", "WriteBps", "ReadIOPS", "WriteIOPS")
             for m in ("major", "minor")]
SIGNED64 += [f"hooks.{k}[].timeout" for k in base()["hooks"]]

ABSOLUTE = """process.cwd linux.namespaces[].path linux.maskedPaths[] linux.readonlyPaths[] vm.hypervisor.path vm.kernel.path
vm.kernel.initrd vm.image.path""".split() + [f"hooks.{k}[].path" for k in base()["hooks"]]

WORDS = """process.scheduler.policy process.scheduler.flags[] process.ioPriority.class process.rlimits[].type
linux.namespaces[].type linux.devices[].type linux.rootfsPropagation linux.resources.devices[].type
linux.resources.devices[].access linux.seccomp.defaultAction linux.seccomp.architectures[] linux.seccomp.flags[]
linux.seccomp.syscalls[].action linux.seccomp.syscalls[].args[].op linux.personality.domain linux.memoryPolicy.mode
linux.memoryPolicy.flags[] vm.image.format""".split()

# (what, member, wrong value): where it must be found is the member itself, or what stands behind it.
CONTRADICTIONS = [
    ("namespace twice", "linux.namespaces", [{"type": "pid"}, {"type": "mount"}, {"type": "pid"}], "linux.namespaces[2]"),
    ("namespace joined and made", "linux.namespaces", [{"type": "ipc"}, {"type": "ipc", "path": "/x"}], "linux.namespaces[1]"),
    ("limit twice", "process.rlimits", [{"type": "RLIMIT_CPU", "hard": 1, "soft": 1}] * 2, "process.rlimits[1]"),
    ("soft limit above hard", "process.rlimits", [{"type": "RLIMIT_CPU", "hard": 1, "soft": 2}], "process.rlimits[0].soft"),
    ("mount with one kind of mapping", "mounts", [{"destination": "/a", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}],
     "mounts[0]"),
    ("uid that is none", "process.user.uid", 2**32 - 1, None),
    ("gid that is none", "process.user.gid", 2**32 - 1, None),
    ("group that is none", "process.user.additionalGids", [1, 2**32 - 1], "process.user.additionalGids[1]"),
    ("empty mapping", "linux.uidMappings", [{"containerID": 0, "hostID": 0, "size": 0}], "linux.uidMappings[0].size"),
    ("mapping beyond the end", "linux.uidMappings", [{"containerID": 1, "hostID": 0, "size": 2**32 - 1}], "linux.uidMappings[0].size"),
    ("mapping beyond the host's end", "linux.gidMappings", [{"containerID": 0, "hostID": 2**32 - 2, "size": 2}],
     "linux.gidMappings[0].size"),
    ("score too low", "process.oomScoreAdj", -1001, None), ("score too high", "process.oomScoreAdj", 1001, None),
    ("no program", "process.args", [], None),
    ("variable without value", "process.env", ["A=b", "PATH"], "process.env[1]"),
    ("variable without name", "process.env", ["=b"], "process.env[0]"),
    ("nice too low", "process.scheduler", {"policy": "SCHED_OTHER", "nice": -21}, "process.scheduler.nice"),
    ("nice too high", "process.scheduler", {"policy": "SCHED_OTHER", "nice": 20}, "process.scheduler.nice"),
    ("nice in real time", "process.scheduler", {"policy": "SCHED_RR", "nice": 1, "priority": 1}, "process.scheduler.nice"),
    ("real time without priority", "process.scheduler", {"policy": "SCHED_FIFO"}, "process.scheduler.priority"),
    ("priority too high", "process.scheduler", {"policy": "SCHED_FIFO", "priority": 100}, "process.scheduler.priority"),
    ("priority of a batch", "process.scheduler", {"policy": "SCHED_BATCH", "priority": 1}, "process.scheduler.priority"),
    ("deadline of another policy", "process.scheduler", {"policy": "SCHED_OTHER", "runtime": 1}, "process.scheduler"),
    ("deadline without runtime", "process.scheduler", {"policy": "SCHED_DEADLINE", "deadline": 1}, "process.scheduler"),
    ("runtime beyond deadline", "process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 3, "deadline": 2}, "process.scheduler"),
    ("deadline beyond period", "process.scheduler", {"policy": "SCHED_DEADLINE", "runtime": 1, "deadline": 3, "period": 2},
     "process.scheduler"),
    ("class without name", "process.ioPriority.class", "IOPRIO_CLASS_NONE", None),
    ("io priority too low", "process.ioPriority.priority", -1, None), ("io priority too high", "process.ioPriority.priority", 8, None),
    ("cpus that are none", "process.execCPUAffinity.initial", "all", None),
    ("no device number", "linux.devices", [{"type": "c", "path": "/dev/x", "minor": 1}], "linux.devices[0]"),
    ("device number too large", "linux.devices", [{"type": "b", "path": "/dev/x", "major": 4096, "minor": 1}],
     "linux.devices[0].major"),
    ("device number below 0", "linux.devices", [{"type": "b", "path": "/dev/x", "major": 1, "minor": -1}], "linux.devices[0].minor"),
    ("device of nobody", "linux.devices", [{"type": "p", "path": "/x", "uid": 2**32 - 1}], "linux.devices[0].uid"),
    ("access twice", "linux.resources.devices", [{"allow": True, "access": "rr"}], "linux.resources.devices[0].access"),
    ("rule for number -2", "linux.resources.devices", [{"allow": True, "major": -2}], "linux.resources.devices[0].major"),
    ("rule for a large number", "linux.resources.devices", [{"allow": True, "minor": 2**32}], "linux.resources.devices[0].minor"),
    ("memory below 0", "linux.resources.memory.limit", -2, None), ("swap below 0", "linux.resources.memory.swap", -2, None),
    ("reservation below 0", "linux.resources.memory.reservation", -2, None),
    ("page size without unit", "linux.resources.hugepageLimits", [{"pageSize": "2", "limit": 1}],
     "linux.resources.hugepageLimits[0].pageSize"),
    ("page size that is a path", "linux.resources.hugepageLimits", [{"pageSize": "../2MB", "limit": 1}],
     "linux.resources.hugepageLimits[0].pageSize"),
    ("network interface without name", "linux.resources.network.priorities", [{"name": "", "priority": 1}],
     "linux.resources.network.priorities[0].name"),
    ("block device below 0", "linux.resources.blockIO.weightDevice", [{"major": -1, "minor": 0}],
     "linux.resources.blockIO.weightDevice[0].major"),
    ("block device too large", "linux.resources.blockIO.throttleReadBpsDevice", [{"major": 1, "minor": 2**32}],
     "linux.resources.blockIO.throttleReadBpsDevice[0].minor"),
    ("cgroup file without name", "linux.resources.unified", {"": "1"}, "linux.resources.unified"),
    ("annotation without name", "annotations", {"": "1"}, "annotations"),
    ("sysctl without name", "linux.sysctl", {"": "1"}, "linux.sysctl"),
    ("unknown clock", "linux.timeOffsets", {"realtime": {"secs": 1}}, "linux.timeOffsets.realtime"),
    ("a second of nanoseconds", "linux.timeOffsets", {"boottime": {"nanosecs": 10**9}}, "linux.timeOffsets.boottime.nanosecs"),
    ("timeout of 0", "hooks.poststop", [{"path": "/x", "timeout": 0}], "hooks.poststop[0].timeout"),
    ("seccomp rules without default", "linux.seccomp", {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]},
     "linux.seccomp"),
    ("notify as default", "linux.seccomp", {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"}, "linux.seccomp.defaultAction"),
    ("notify for write", "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x", "syscalls": [
        {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}, "linux.seccomp.syscalls[0].names[0]"),
    ("notify without listener", "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["open"], "action": "SCMP_ACT_NOTIFY"}]}, "linux.seccomp.syscalls[0]"),
    ("metadata without listener", "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
     "linux.seccomp.listenerMetadata"),
    ("errno for allow", "linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}, "linux.seccomp.defaultErrnoRet"),
    ("errno for kill", "linux.seccomp.syscalls", [{"names": ["read"], "action": "SCMP_ACT_KILL", "errnoRet": 1}],
     "linux.seccomp.syscalls[0].errnoRet"),
    ("errno too large", "linux.seccomp.defaultErrnoRet", 4096, None),
    ("no names", "linux.seccomp.syscalls", [{"names": [], "action": "SCMP_ACT_ALLOW"}], "linux.seccomp.syscalls[0].names"),
    ("seventh argument", "linux.seccomp.syscalls", [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
        {"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}], "linux.seccomp.syscalls[0].args[0].index"),
    ("closID that is a path", "linux.intelRdt.closID", "../x", None), ("closID that climbs", "linux.intelRdt.closID", "..", None),
    ("cache schema of two lines", "linux.intelRdt.l3CacheSchema", "L3:0=f\nMB:0=1", None),
    ("schema of two lines", "linux.intelRdt.memBwSchema", "MB:0=1\nL3:0=f", None),
    ("schemata of two lines", "linux.intelRdt.schemata", ["L3:0=f", "a\nb"], "linux.intelRdt.schemata[1]"),
    ("nodes for default", "linux.memoryPolicy", {"mode": "MPOL_DEFAULT", "nodes": "0"}, "linux.memoryPolicy.nodes"),
    ("bind without nodes", "linux.memoryPolicy", {"mode": "MPOL_BIND"}, "linux.memoryPolicy"),
    ("nodes that are none", "linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "x"}, "linux.memoryPolicy.nodes"),
    ("both kinds of nodes", "linux.memoryPolicy.flags", ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"], None),
    ("balancing for interleave", "linux.memoryPolicy", {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]},
     "linux.memoryPolicy.flags"),
    ("version of words", "ociVersion", "one", None), ("version 2", "ociVersion", "2.0.0", None), ("version 1.0", "ociVersion", "1.0", None),
    ("version 10", "ociVersion", "10.0.0", None), ("version 01", "ociVersion", "01.0.0", None), ("version of blanks", "ociVersion", " 1.0.0", None),
    ("format of an image without path", "vm.image", {"path": "", "format": "raw"}, "vm.image.path"),
    ("parameters without hypervisor", "vm.hypervisor", {"path": "", "parameters": ["x"]}, "vm.hypervisor.path"),
    ("empty path of the root", "root.path", "", None), ("empty destination", "mounts", [{"destination": ""}], "mounts[0].destination"),
    ("empty working directory", "process.cwd", "", None), ("empty device path", "linux.devices", [{"type": "p", "path": ""}], "linux.devices[0].path"),
]

# What only the plan finds: (what, changes to runnable(), what the line says).
PLANNED = [
    ("host name without uts", {"hostname": "x", "linux.namespaces": [{"type": "mount"}]}, "hostname"),
    ("domain name without uts", {"domainname": "x", "linux.namespaces": [{"type": "mount"}]}, "domainname"),
    ("host name too long", {"hostname": "x" * 65}, "hostname"),
    ("no mount namespace", {"linux.namespaces": [{"type": "pid"}]}, "mount namespace"),
    ("no section linux", {"linux": None}, "mount namespace"),
    ("sysctl of the host", {"linux.sysctl": {"kernel.panic": "1"}}, "linux.sysctl.kernel.panic"),
    ("sysctl that climbs", {"linux.sysctl": {"net/../kernel/panic": "1"}}, "linux.sysctl"),
    ("sysctl of the network without one", {"linux.namespaces": [{"type": "mount"}], "linux.sysctl": {"net.ipv4.ip_forward": "1"}},
     "linux.sysctl.net.ipv4.ip_forward"),
    ("sysctl of ipc without one", {"linux.namespaces": [{"type": "mount"}], "linux.sysctl": {"kernel.shmmax": "1"}},
     "linux.sysctl.kernel.shmmax"),
    ("sysctl that is the host name", {"linux.sysctl": {"kernel.hostname": "x"}}, "linux.sysctl.kernel.hostname"),
    ("mappings without user namespace", {"linux.uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}],
                                         "linux.gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}, "linux.uidMappings"),
    ("mappings that overlap", {"linux.namespaces": [{"type": "mount"}, {"type": "user"}],
                               "linux.uidMappings": [{"containerID": 0, "hostID": 0, "size": 2}, {"containerID": 1, "hostID": 9, "size": 1}],
                               "linux.gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}, "linux.uidMappings"),
    ("time offsets without time namespace", {"linux.timeOffsets": {"monotonic": {"secs": 1}}}, "linux.timeOffsets"),
    ("network devices without network", {"linux.namespaces": [{"type": "mount"}], "linux.netDevices": {"eth0": {}}}, "linux.netDevices"),
    ("network device of a bad name", {"linux.netDevices": {"eth/0": {}}}, "linux.netDevices"),
    ("cgroup path that climbs", {"linux.cgroupsPath": "../../x"}, "linux.cgroupsPath"),
    ("cgroup file that is a path", {"linux.resources.unified": {"a/b": "1"}}, "linux.resources.unified"),
    ("unknown mount option", {"mounts": [{"destination": "/x", "type": "bind", "source": "/tmp", "options": ["bind", "nosuch"]}]},
     "mounts[0]"),
    ("idmap without mapping", {"mounts": [{"destination": "/x", "source": "/tmp", "options": ["bind", "idmap"]}]}, "mounts[0]"),
    ("mount without source", {"mounts": [{"destination": "/x", "options": ["bind"]}]}, "mounts[0]"),
    ("mount that is nothing", {"mounts": [{"destination": "/x"}]}, "mounts[0]"),
    ("tmpfs on /proc", {"mounts": [{"destination": "/proc", "type": "tmpfs", "source": "x"}]}, "mounts[0]"),
    ("umask too large", {"process.user": {"uid": 0, "gid": 0, "umask": 0o1000}}, "process.user.umask"),
    ("no root", {"root": None}, "root"),
    ("virtual machine in a network namespace of the host", {"vm": {"kernel": {"path": "/k"}}, "linux.namespaces":
     [{"type": "network", "path": "/proc/1/ns/net"}]}, "linux.namespaces[0]"),
    ("memory node beyond the last", {"linux.memoryPolicy": {"mode": "MPOL_BIND", "nodes": "99999"}}, "linux.memoryPolicy"),
]

# --------------------------------------------------------------------------------------------------------------- places in a tree


def places(node, steps=()):
    """Yields the steps to every value below node."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield (*steps, key)
        yield from places(child, (*steps, key))


def path(steps):
    """As the runtime prints it."""
    return "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps).lstrip(".")


MAPS = re.compile(r"^(linux\.(?:netDevices|timeOffsets|resources\.rdma))\.[^.]+")


def member(steps):
    """The place as a table has it: without numbers, and {} for the names of a map."""
    return MAPS.sub(r"\1{}", re.sub(r"\[\d+\]", "[]", path(steps)))


def get(node, steps):
    for step in steps:
        node = node[step]
    return node


def put(node, steps, value):
    get(node, steps[:-1])[steps[-1]] = value


def by_dots(node, name, value):
    """Puts a value at "a.b.c"; None takes the member away."""
    steps = tuple(name.split("."))
    for i in range(1, len(steps)):
        get(node, steps[:i - 1]).setdefault(steps[i - 1], {})
    if value is None:
        get(node, steps[:-1]).pop(steps[-1])
    else:
        put(node, steps, value)


# -------------------------------------------------------------------------------------------------------------------- the bad ones


class Number:
    """A number as it is to be written; json.dumps() would not."""

    def __init__(self, text):
        self.text = text


def dump(node):
    numbers = []

    def default(value):
        numbers.append(value.text)
        return f"\0{len(numbers) - 1}\0"

    text = json.dumps(node, default=default)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda m: numbers[int(m[1])], text).encode()


def swaps():
    """Every member with values of other types; by turns, as all of them would take long."""
    samples = {bool: True, int: 7, str: "true", list: ["x"], dict: {"x": 1}, float: 1.5}
    good = base()
    for turn, steps in enumerate(places(good)):
        value = get(good, steps)
        for i, (kind, wrong) in enumerate(samples.items()):
            if type(value) is kind or (i + turn) % 3 == 0:
                continue
            bad = base()
            put(bad, steps, wrong)
            yield f"{path(steps)} is a {kind.__name__}", dump(bad), path(steps)
        if isinstance(steps[-1], int):
            bad = base()
            put(bad, steps, None)
            yield f"{path(steps)} is null", dump(bad), path(steps)


def missing():
    """Every required member left out, and null."""
    good = base()
    for steps in places(good):
        if member(steps) not in REQUIRED:
            continue
        bad = base()
        del get(bad, steps[:-1])[steps[-1]]
        yield f"{path(steps)} is missing", dump(bad), path(steps[:-1]) or "document"
        put(bad, steps, None)
        yield f"{path(steps)} is null", dump(bad), path(steps[:-1]) or "document"


def numbers():
    """Every number at and beyond the ends of its type, and written in other ways."""
    good = base()
    for steps in places(good):
        if type(get(good, steps)) is not int:
            continue
        name = member(steps)
        if name in UNSIGNED16:
            wrong = [-1, 2**16]
        elif name in UNSIGNED32:
            wrong = [-1, 2**32]
        elif name in SIGNED32:
            wrong = [-2**31 - 1, 2**31]
        elif name in SIGNED64:
            wrong = [-2**63 - 1, 2**63]
        else:
            wrong = [-1, 2**64]
        for text in [*map(str, wrong), "1.0", "1e0", "1" + "0" * 400]:
            bad = base()
            put(bad, steps, Number(text))
            yield f"{path(steps)} is {text[:24]}", dump(bad), path(steps)
    for text in ("01", "+1", ".5", "1.", "0x10", "1e", "NaN", "-", "Infinity", "1_000"):
        bad = base()
        put(bad, ("linux", "resources", "pids", "limit"), Number(text))
        yield f"the number {text}", dump(bad), None


def words():
    """Words that are none, other cases of good ones, relative paths, and characters that end a string early."""
    good = base()
    for steps in places(good):
        value, name = get(good, steps), member(steps)
        wrong = []
        if name in WORDS:
            wrong = ["nonsense", value.swapcase(), value + " ", value + "X"]
        if name in ABSOLUTE:
            wrong = ["relative", "./x", " /x"]
        for text in wrong:
            bad = base()
            put(bad, steps, text)
            yield f"{path(steps)} is {text!r}", dump(bad), path(steps)
        if isinstance(value, str):
            bad = base()
            put(bad, steps, value + "\0x")
            yield f"{path(steps)} has a NUL", dump(bad), path(steps)


def repeated():
    """Every member twice in its object, alike or not."""
    good = base()
    for i, steps in enumerate(places(good)):
        if isinstance(steps[-1], int):
            continue
        bad, value = base(), get(good, steps)
        key = json.dumps(steps[-1])
        if i % 2:
            key = '"' + "".join(f"\\u{ord(c):04x}" for c in steps[-1]) + '"'
        put(bad, steps, Number(f"{json.dumps(value)},{key}:{json.dumps(value) if i % 3 else 'null'}"))
        yield f"{path(steps)} twice", dump(bad), path(steps)


def contradictions():
    for what, name, value, where in CONTRADICTIONS:
        bad = base()
        by_dots(bad, name, value)
        yield what, dump(bad), where or name
    for what, changes, text in PLANNED:
        bad = runnable()
        for name, value in changes.items():
            by_dots(bad, name, value)
        yield what, dump(bad), ("says", text)


def structures():
    """What is no JSON, or too much of it. The place is None: there is one line, wherever."""
    good = dump(base())
    for i in range(0, len(good) - 1, len(good) // 97):
        yield f"cut after {i} bytes", good[:i], None
    for what, tail in (("a bracket", b"}"), ("a word", b"x"), ("a comment", b"// x"), ("another document", good), ("a NUL", b"\0"),
                       ("a comma", b","), ("null", b"null")):
        yield f"followed by {what}", good + tail, None
    for depth in (33, 1000, 100000, 4 << 20):
        yield f"{depth} brackets", b"[" * depth, None
        yield f"{depth} braces", b'{"a":' * depth, None
        if depth <= 100000:
            yield f"{depth} levels in an unknown member", b'{"ociVersion":"1.0.0","x":' + b"[" * depth + b"]" * depth + b"}", None
    for what, text in (("nothing", b""), ("blanks", b" \n" * 100), ("null", b"null"), ("true", b"true"), ("a string", b'"x"'),
                       ("an array", b"[]"), ("a number", b"1"), ("a byte order mark", b"\xef\xbb\xbf" + good), ("UTF-16", good.decode().encode("utf-16")),
                       ("an ELF file", b"\x7fELF" + bytes(1000)), ("zeros", bytes(100000)), ("single quotes", b"{'ociVersion':'1.0.0'}"),
                       ("a bare name", b"{ociVersion:1}"), ("a comma too many", b'{"ociVersion":"1.0.0",}'),
                       ("a comment", b'{"ociVersion":"1.0.0"/* x */}'), ("an open string", b'{"ociVersion":"1.0.0'),
                       ("no colon", b'{"ociVersion" "1.0.0"}'), ("no comma", b'{"a":1 "b":2}'), ("two commas", b'{"a":[1,,2]}')):
        yield what, text, None
    for what, byte in (("a lonely byte", b"\x80"), ("an overlong slash", b"\xc0\xaf"), ("half a surrogate", b"\xed\xa0\x80"),
                       ("beyond the last", b"\xf4\x90\x80\x80"), ("a cut sequence", b"\xe2\x82"), ("latin1", b"\xe4"), ("ff", b"\xff"),
                       ("a line end", b"\n"), ("a bell", b"\a"), ("a NUL", b"\0"), ("an escaped NUL", b"\\u0000"),
                       ("an escaped half surrogate", b"\\ud800"), ("a wrong escape", b"\\x41"), ("a short escape", b"\\u12")):
        yield f"{what} in a value", good.replace(b'"h"', b'"' + byte + b'"', 1), None
        yield f"{what} in a name", good.replace(b'"hostname"', b'"' + byte + b'"', 1), None
        yield f"{what} in an unknown member", b'{"x":{"' + byte + b'":1},' + good.lstrip()[1:], None
    yield "a million values", b'{"ociVersion":"1.0.0","x":[' + b"1," * (1 << 20) + b"1]}", None
    yield "more than 16 MiB", b'{"ociVersion":"' + b"1" * (17 << 20) + b'"}', None
    yield "more than 16 MiB of blanks", good + b" " * (17 << 20), None
    yield "a long name twice", b'{"' + LONG_NAME.encode() + b'":1,"' + LONG_NAME.encode() + b'":1}', None
    yield "members by the hundred thousand", b"{" + b",".join(b'"%d":1' % i for i in range(200000)) + b"}", "document"
    many = base()
    many["process"]["env"] = ["x"] * 100000
    yield "problems by the hundred thousand", dump(many), "process.env[0]"
    many["process"]["env"] = [LONG_NAME + "\x1b[31m\r\n" + LONG_NAME]
    yield "a long value that is no variable", dump(many), "process.env[0]"


def large():
    """Where every element is looked at with all others, ten thousands of them take for ever."""
    n = 50000
    rule = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    condition = {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}
    mapping = [{"containerID": i, "hostID": i, "size": 1} for i in range(n)]
    lists = {
        "process.env": [f"A{i}=b" for i in range(n)], "process.args": ["true"] * n, "process.user.additionalGids": list(range(n)),
        "process.capabilities.bounding": ["CAP_CHOWN"] * n, "process.execCPUAffinity.final": "0," * n + "0",
        "process.cwd": "/a" * n, "hostname": "h" * n, "annotations": {f"a{i}": "" for i in range(n)},
        "mounts": [{"destination": f"/m{i}", "type": "tmpfs", "source": "x"} for i in range(n)],
        "hooks.prestart": [{"path": f"/{i}"} for i in range(n)],
        "linux.maskedPaths": [f"/x{i}" for i in range(n)], "linux.readonlyPaths": [f"/x{i}" for i in range(n)],
        "linux.sysctl": {f"net.x{i}": "1" for i in range(n)}, "linux.cgroupsPath": "/a/.." * n,
        "linux.devices": [{"type": "c", "path": f"/dev/x{i}", "major": 1, "minor": 3} for i in range(n)],
        "linux.netDevices": {f"e{i}": {"name": f"f{i}"} for i in range(n)},
        "linux.resources.devices": [{"allow": True, "type": "c", "access": "r", "major": 1, "minor": i} for i in range(n // 5)],
        "linux.resources.unified": {f"memory.x{i}": "1" for i in range(n)},
        "linux.resources.cpu.cpus": "0," * n + "0",
        "linux.resources.blockIO.throttleReadBpsDevice": [{"major": 8, "minor": i, "rate": 1} for i in range(n)],
        "linux.resources.hugepageLimits": [{"pageSize": f"{i + 1}MB", "limit": 1} for i in range(n)],
        "linux.memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0," * n + "0"},
    }
    for name, value in lists.items():
        config = runnable()
        by_dots(config, name, value)
        yield name, dump(config)
    for name, syscalls in (("names", [{**rule, "names": ["read"] * n}]), ("unknown names", [{**rule, "names": [f"r{i}" for i in range(n)]}]),
                           ("rules", [rule] * n), ("conditions", [{**rule, "args": [{**condition, "value": i}]} for i in range(n)]),
                           ("alternatives", [{**rule, "args": [{**condition, "value": i} for i in range(n)]}]),
                           ("turns", [{**rule, "action": a} for a in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")] * (n // 2))):
        config = runnable()
        by_dots(config, "linux.seccomp", {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
                                          "syscalls": syscalls})
        yield f"linux.seccomp: {name}", dump(config)
    for name, options in (("words", ["ro", "rw"] * n), ("parameters", ["size=1k"] * n), ("parameters in one", ["size=1k," * n])):
        config = runnable()
        config["mounts"].append({"destination": "/m", "type": "tmpfs", "source": "x", "options": options})
        yield f"mount options: {name}", dump(config)
    config = runnable()
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"].update({"uidMappings": mapping, "gidMappings": mapping})
    yield "mappings", dump(config)
    config = runnable()
    config["mounts"].append({"destination": "/m", "source": "/tmp", "options": ["bind"], "uidMappings": mapping, "gidMappings": mapping})
    yield "mappings of a mount", dump(config)
    config = runnable()
    config["process"]["env"] = ["A=b"] * n * 4 + ["x"] * 2000
    yield "problems at the end", dump(config)


def corpus():
    for group in (swaps, missing, numbers, words, repeated, contradictions, structures):
        for what, text, where in group():
            yield f"{group.__name__}: {what}", text, where


# --------------------------------------------------------------------------------------------------------------------- the runtime


def sample(count):
    everything = list(corpus())
    return everything[::max(1, len(everything) // int(count))]


class Judge:
    def __init__(self, runtime, bundle, directory):
        self.runtime, self.bundle, self.directory = runtime, bundle, pathlib.Path(directory)
        self.file = self.directory / "bad.json"
        self.root = self.directory / "state"
        self.wrong = self.count = 0
        # A sanitizer reserves more address space than any limit.
        sanitized = b"__asan_init" in pathlib.Path(runtime).read_bytes()
        self.prefix = ["prlimit", f"--cpu={SECONDS * 10}"] if sanitized else ["prlimit", f"--cpu={SECONDS}", f"--as={MEMORY}"]

    def complain(self, name, what):
        self.wrong += 1
        if self.wrong <= 20:
            print(f"{name}: {what}")
            (self.directory / f"wrong-{self.wrong}.json").write_bytes(self.file.read_bytes())

    def call(self, *args):
        try:
            done = subprocess.run([*self.prefix, self.runtime, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return None, b"", b""
        return done.returncode, done.stdout, done.stderr

    def judge(self, name, status, text, where, lines_max):
        """What is printed has at most so many lines, and one of them names the place."""
        if status != 1:
            return self.complain(name, f"status {status}: {text[-300:]!r}")
        if not text.endswith(b"\n") or not 0 < text.count(b"\n") <= lines_max or re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", text):
            return self.complain(name, f"not one line: {text[:300]!r}")
        lines = text.decode("utf-8", "replace").splitlines()
        if isinstance(where, tuple):
            good = any(where[1] in line for line in lines)
        elif where:
            good = any(re.search(rf": line \d+: {re.escape(where)}: \S", line) for line in lines)
        else:
            good = len(lines) == 1 and str(self.file) in lines[0]
        if not good:
            return self.complain(name, f"no word of {where}: {lines[0][:300]}")
        return None

    def check(self, name, where):
        status, out, err = self.call("check", "--config", str(self.file), self.bundle)
        # A file that cannot be read at all is an error of the command, not a result.
        self.judge(name, status, out or err, where, 1002 if "hundred thousand" in name else 1)
        if out and err and not err.startswith(b"drupe: warning: "):
            self.complain(name, f"on stderr: {err[:300]!r}")

    def run(self, name, where):
        status, out, err = self.call("--root", str(self.root), "run", "--config", str(self.file), "--bundle", self.bundle, "bad")
        if out:
            self.complain(name, f"on stdout: {out[:300]!r}")
        self.judge(name, status, err, where, 1)
        if self.root.exists() and any(self.root.iterdir()):
            self.complain(name, "left something in the state directory")

    def plan(self, name, _):
        status, out, err = self.call("plan", "--config", str(self.file), self.bundle)
        if status not in (0, 1) or bool(out) != (status == 0) or (status == 1 and err.count(b"\n") != 1):
            self.complain(name, f"status {status}: {err[-300:]!r}")

    def each(self, configs, act):
        for name, text, where in configs:
            self.file.write_bytes(text)
            self.count += 1
            act(name, where)
        self.file.unlink(missing_ok=True)

    def finish(self):
        if self.wrong > 20:
            print(f"and {self.wrong - 20} more")
        print(f"{self.count} configurations, {self.wrong} wrong")
        return 1 if self.wrong or not self.count else 0


def base_is_good(judge):
    """Otherwise the faults found are not those that were made."""
    judge.file.write_bytes(dump(base()))
    status, out, err = judge.call("check", "--config", str(judge.file), judge.bundle)
    if status not in (0, 1) or re.search(rb": line \d+: ", out):
        sys.exit(f"the good configuration is not: status {status}: {out + err}")


def covers(dump_program):
    known = {member(steps) for steps in places(base())} | {re.sub(r"(\[\]|\{\})$", "", member(s)) for s in places(base())}
    tables = [line.split("\t")[0] for line in subprocess.run([dump_program], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()]
    lacking = [name for name in tables if name not in known]
    for name in lacking:
        print(f"{name}: in a table, but not in base() of tests/lib/bad_configs.py")
    print(f"{len(tables)} members of the tables compared")
    return 1 if lacking or len(tables) < 200 else 0


def main():
    match sys.argv[1:]:
        case ["list"]:
            for name, _, where in corpus():
                print(f"{name}\t{where}")
            return 0
        case ["covers", program]:
            return covers(program)
        case ["check", runtime, bundle, directory, count]:
            judge = Judge(runtime, bundle, directory)
            base_is_good(judge)
            judge.each(sample(count), judge.check)
            return judge.finish()
        case ["run", runtime, bundle, directory, count]:
            judge = Judge(runtime, bundle, directory)
            judge.each(sample(count), judge.run)
            return judge.finish()
        case ["large", runtime, bundle, directory]:
            judge = Judge(runtime, bundle, directory)
            judge.each(((name, text, None) for name, text in large()), judge.plan)
            return judge.finish()
    sys.exit(__doc__)


sys.exit(main())
