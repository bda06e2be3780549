# shellcheck disable=SC2034 # CALLER is read by callers.bash
# podman.bash - podman in the world of callers.bash, as root; loaded after callers
#
#   podman ARG...       podman itself, with a limit of time
#   pod ARG...          podman with the runtime under comparison, $RT
#   prun ARG...         `podman run --rm` with it, without a network unless said otherwise
#   on_terminal STEP... -- COMMAND...   tests/lib/terminal.py; its output is printed, and ends with the status
# The image is localhost/busybox:test, "$IMAGE".

CALLER=podman
IMAGE=localhost/busybox:test

setup_file() { start_podman; }

# podman's configuration: ours is what docs/podman.md says, the rest is what a machine without systemd needs.
start_podman() {
    mkdir -p /etc/containers/containers.conf.d "$WORLD/storage"
    snippet podman.md containers.conf >/etc/containers/containers.conf.d/drupe.conf
    cat >/etc/containers/containers.conf <<-'END'
	[containers]
	log_driver = "k8s-file"
	[engine]
	cgroup_manager = "cgroupfs"
	events_logger = "file"
	END
    printf '[storage]\ndriver = "overlay"\ngraphroot = "%s"\nrunroot = "/run/containers/storage"\n' "$WORLD/storage" >/etc/containers/storage.conf
    echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
    # crun 1.8 gives the host's /dev/null to the root of a container's user namespace: not the machine's, please.
    mknod -m 666 "$WORLD/null" c 1 3 && mount --bind "$WORLD/null" /dev/null
    "$BATS_TEST_DIRNAME/image" "$WORLD/busybox.tar"
    podman load -q -i "$WORLD/busybox.tar"
}

podman() { timeout -k 5 120 /usr/bin/podman "$@"; }
pod() { podman --runtime "$RT" "$@"; }
prun() {
    case " $* " in
    *' --net'* | *' --pod '*) pod run --rm "$@" ;;
    *) pod run --rm --net none "$@" ;;
    esac
}

on_terminal() { "$LIB/terminal.py" 24x80 "$@"; }

# Nothing of a container stays when podman has removed it: not with podman, not in the runtime's directory, no cgroup.
after_steps() {
    podman pod rm --all --force --time 0 >/dev/null
    podman rm --all --force --time 0 --volumes >/dev/null
    wait_for 10 nothing_left && return
    echo "left behind: $(describe_left)"
    # For those that follow.
    find_left | xargs -I {} cat {}/cgroup.procs 2>/dev/null | xargs -r kill -KILL
    wait_for 5 remove_left
    return 1
}
find_left() {
    find /run/runc /run/crun /run/drupe -mindepth 1 -maxdepth 1 -type d 2>/dev/null
    # Of a pod, runc and crun leave the group in hierarchies that podman does not know of.
    find /sys/fs/cgroup/ -depth -type d -path '*/libpod*/*' ! -name conmon ! -path '*/unified/*' \
        ! -regex '.*/systemd/libpod_parent/[0-9a-f]*' 2>/dev/null
}
nothing_left() { [ -z "$(find_left)" ]; }
describe_left() {
    local dir
    find_left | while read -r dir; do echo "$dir $(cat "$dir/cgroup.procs" 2>/dev/null)"; done | tr '\n' ' '
}
remove_left() {
    find_left | xargs rm -rf 2>/dev/null
    find_left | xargs rmdir 2>/dev/null
    nothing_left
}
