"""The guest image: a small Debian system with a kernel that has KVM, made once and kept in the cache.

Its name holds a hash of all that went into it, so a change of `packages` or of this file makes a new one. mmdebstrap
builds without root where user namespaces allow; fakeroot keeps the owners on the way into ext4.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time

from common import HERE, LaneError, cache_dir, install, need_program, packages, say

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
SIZE_MB = 3072
KEPT = 7 * 24 * 3600  # an image that no lane used for so long is removed when a new one is made

# What boots would only be slower with.
MASKED = ("apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer logrotate.timer "
          "man-db.timer apparmor.service systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service "
          "systemd-journal-flush.service systemd-journal-catalog-update.service systemd-pstore.service systemd-binfmt.service "
          "systemd-boot-system-token.service ldconfig.service systemd-update-done.service networking.service nftables.service "
          "proc-sys-fs-binfmt_misc.automount sys-kernel-config.mount sys-kernel-tracing.mount dev-hugepages.mount "
          "systemd-remount-fs.service getty.target getty-static.service kmod-static-nodes.service systemd-modules-load.service "
          "systemd-sysusers.service systemd-tmpfiles-setup-dev.service systemd-ask-password-console.path "
          "systemd-ask-password-wall.path sys-fs-fuse-connections.mount systemd-initctl.socket systemd-journald-audit.socket").split()

KERNEL_HOOK = """set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends {kernel} | sed -n 's/^ *Depends: //p' | head -n 1)
mkdir "$1/boot/k"
cd "$1/boot/k"
apt-get -q -o APT::Sandbox::User=root download "$kernel"
dpkg-deb -x ./*.deb .
mv lib/modules "$1/usr/lib/"
mv boot/vmlinuz-* ../vmlinuz
mv boot/config-* ../config
cd /
rm -rf "$1/boot/k"
version=$(ls "$1/usr/lib/modules")
chroot "$1" depmod -a "$version"
# What the initramfs loads, in this order.
for module in virtio_pci virtio_blk virtio_console ext4; do
	chroot "$1" modprobe -S "$version" --show-depends "$module"
done | sed -n 's/^insmod //p' | awk '!seen[$1]++ {{ print $1 }}' >"$1/boot/modules.list"
"""

# What Docker and Podman send as seccomp profile.
PROFILE_HOOK = """set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
mkdir "$1/boot/p"
cd "$1/boot/p"
apt-get -q -o APT::Sandbox::User=root download {profile}
dpkg-deb --fsys-tarfile ./*.deb | tar -x -C "$1" ./usr/share/containers/seccomp.json
cd /
rm -rf "$1/boot/p"
"""

SETTINGS_HOOK = """set -e
cd "$1"
for unit in {masked}; do ln -sf /dev/null "etc/systemd/system/$unit"; done
mkdir -p etc/systemd/system-generators
for generator in usr/lib/systemd/system-generators/*; do ln -sf /dev/null "etc/systemd/system-generators/${{generator##*/}}"; done
echo 5eed0000000000000000000000001a9e >etc/machine-id
echo lane >etc/hostname
echo '127.0.0.1 localhost lane lane-uml lane-nested' >etc/hosts
: >etc/fstab
chroot . useradd -m -s /bin/bash -u 1000 lane
rm -rf var/cache/apt/* var/lib/apt/lists/*
"""

# In fakeroot: the kernel and its modules beside the image, all of it in the image.
EXT4 = """set -e
mkdir root
tar -x -f root.tar -C root --exclude './dev/*'
rm root.tar
mv root/boot/vmlinuz root/boot/config .
truncate -s {size}M root.ext4
"{mke2fs}" -q -F -t ext4 -O ^has_journal -m 0 -L lane -E lazy_itable_init=1 -d root root.ext4
mkdir modules
number=100
while read -r module; do
	cp "root/$module" "modules/$number-${{module##*/}}"
	number=$((number + 1))
done <root/boot/modules.list
cp root/usr/bin/busybox busybox
rm -rf root
"""


def digest():
    state = hashlib.sha256()
    for name in ("packages", "image.py"):
        with open(os.path.join(HERE, name), "rb") as f:
            state.update(f.read())
    state.update(repr([os.environ.get("LANE_MIRROR")]).encode())
    return state.hexdigest()[:16]


def step(args, where, log, **options):
    with open(log, "a", encoding="utf-8") as out:
        done = subprocess.run(args, cwd=where, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False, **options)
    if done.returncode:
        with open(log, encoding="utf-8", errors="replace") as f:
            tail = "".join(f.readlines()[-20:])
        raise LaneError(f"building the guest image: {args[0]} failed; all of it is in {log}\n{tail}")


def make(where, log):
    mirror = os.environ.get("LANE_MIRROR", MIRROR)
    include = ",".join(packages("guest"))
    hooks = [KERNEL_HOOK.format(kernel=packages("kernel")[0]), PROFILE_HOOK.format(profile=packages("profile")[0]),
             SETTINGS_HOOK.format(masked=" ".join(MASKED))]
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc", "info", "i18n", "zoneinfo")]
    step([need_program("mmdebstrap"), "--variant=apt", "--mode=auto", f"--include={include}", '--aptopt=APT::Install-Recommends "false"',
          *excluded, *[f"--customize-hook={hook}" for hook in hooks], "--skip=cleanup/apt", SUITE, "root.tar",
          f"deb {mirror} {SUITE} main", f"deb {mirror} {SUITE}-updates main", f"deb {SECURITY} {SUITE}-security main"], where, log)
    script = EXT4.format(size=SIZE_MB, mke2fs=need_program("mke2fs"))
    step([need_program("fakeroot"), "sh", "-c", script], where, log)


def build(opts):
    """The image's files: {'root', 'vmlinuz', 'config', 'busybox', 'modules'}; builds them if they are not there."""
    directory = os.path.join(cache_dir(), f"image-{digest()}")
    with open(os.path.join(cache_dir(), "image.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(directory) or opts.rebuild:
            install(["image"])
            begun = time.monotonic()
            say("building the guest image (once; about two minutes)")
            work = tempfile.mkdtemp(prefix="new-", dir=cache_dir())
            os.chmod(work, 0o755)
            log = os.path.join(cache_dir(), "image.log")
            open(log, "w", encoding="utf-8").close()
            try:
                make(work, log)
                for name in os.listdir(cache_dir()):
                    path = os.path.join(cache_dir(), name)
                    if name.startswith("image-") and (path == directory or os.stat(path).st_mtime < time.time() - KEPT):
                        shutil.rmtree(path)
                os.rename(work, directory)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            say(f"the guest image took {time.monotonic() - begun:.0f} s: {directory}")
    os.utime(directory)
    files = {name: os.path.join(directory, name) for name in ("vmlinuz", "busybox", "modules", "config")}
    files["root"] = os.path.join(directory, "root.ext4")
    return files
