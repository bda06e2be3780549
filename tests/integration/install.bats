#!/usr/bin/env bats
# shellcheck disable=SC2016 # programs for the shells inside
# What an installation consists of: files below a DESTDIR, manual pages, completions that complete, a Debian package.
load helpers

setup_file() {
    export STAGE=$BATS_FILE_TMPDIR/stage
    # A build by other hands (RUNTIME=...) is not what would be installed.
    DESTDIR=$STAGE "$BATS_TEST_DIRNAME/../../tools/install" /opt/drupe >"$BATS_FILE_TMPDIR/printed" 2>&1 3>&-
}

setup() {
    begin_test
    AT=$STAGE/opt/drupe
    BASH_COMPLETION=$AT/share/bash-completion/completions/drupe.bash
    # As an interactive shell would find it.
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$AT/bin/drupe" "$BATS_TEST_TMPDIR/bin/drupe"
}

# words WORD...: what bash would offer for the last one.
words() {
    PATH=$BATS_TEST_TMPDIR/bin:$PATH bash --norc -c '
        source "$0"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _drupe
        printf "%s\n" "${COMPREPLY[@]}"' "$BASH_COMPLETION" "$@"
}

@test "install: everything is below DESTDIR and the prefix, with modes, and runs from there" {
    [ "$(cat "$BATS_FILE_TMPDIR/printed")" = "$AT/bin/drupe" ]
    [ "$(find "$STAGE" -maxdepth 2 -mindepth 1 -printf '%P\n' | sort | tr '\n' ' ')" = 'opt opt/drupe ' ]
    diff <(cd "$AT" && find . -type f -printf '%m %p\n' | grep -v /man1/ | sort) - <<'END'
644 ./share/bash-completion/completions/drupe.bash
644 ./share/doc/drupe/LICENSE
644 ./share/fish/vendor_completions.d/drupe.fish
644 ./share/zsh/site-functions/_drupe
755 ./bin/drupe
755 ./libexec/drupe/agent
755 ./libexec/drupe/net
755 ./libexec/drupe/systemd
755 ./libexec/drupe/vmm
END
    run -0 "$AT/bin/drupe" --version
    run ! grep -q INTERP <<<"$(readelf -l "$AT/bin/drupe")"
    setup_bundle
    args /bin/echo runs
    run -0 "$AT/bin/drupe" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)"
    [ "$output" = runs ]
}

@test "manual: a page of the program and of each command, without a warning, with every flag of --help" {
    command -v man >/dev/null || skip 'needs man'
    local page name flag
    [ -s "$AT/share/man/man1/drupe.1" ]
    for name in $(drupe --help | sed -n 's/^  \([a-z]*\) .*/\1/p; s/^.\{40\}  \([a-z]*\) .*/\1/p'); do [ -s "$AT/share/man/man1/drupe-$name.1" ]; done
    for page in "$AT"/share/man/man1/*.1; do
        run -0 --separate-stderr env LC_ALL=C MANWIDTH=80 MANROFFOPT='' man --warnings -E ascii -l "$page"
        [ -z "$stderr" ]
        for name in NAME SYNOPSIS DESCRIPTION EXAMPLE 'EXIT STATUS'; do grep -q "^$name" <<<"$output"; done
        name=${page##*/drupe}
        name=${name%.1}
        for flag in $(drupe ${name:+"${name#-}"} --help | grep -o -- '--[a-z][a-z0-9-]*' | sort -u); do
            [ "$flag" = --help ] || grep -q -- "$flag" <<<"$output" || { echo "$page: $flag"; return 1; }
        done
    done
}

@test "completions: the shells accept them" {
    bash -n "$BASH_COMPLETION"
    shellcheck -s bash "$BASH_COMPLETION"
    ! command -v zsh >/dev/null || zsh -n "$AT/share/zsh/site-functions/_drupe"
    ! command -v fish >/dev/null || fish --no-execute "$AT/share/fish/vendor_completions.d/drupe.fish"
}

@test "bash: commands, flags, choices, signals, files and directories" {
    [ "$(words drupe st | sort | tr '\n' ' ')" = 'start state ' ]
    [ "$(words drupe --root /x st | sort | tr '\n' ' ')" = 'start state ' ]
    [ "$(words drupe --root = /x st | sort | tr '\n' ' ')" = 'start state ' ]
    [ "$(words drupe --log-f)" = --log-format ]
    [ "$(words drupe --log-format '' | tr '\n' ' ')" = 'text json ' ]
    [ "$(words drupe --log-format = | tr '\n' ' ')" = 'text json ' ]
    [ "$(words drupe --log-format = j)" = json ]
    [ "$(words drupe create --bun)" = --bundle ]
    [ "$(words drupe kill web KI)" = KILL ]
    [ "$(words drupe list --format = ta)" = table ]
    [ "$(words drupe mounts re)" = remove ]
    [ "$(words drupe help ch | tr '\n' ' ')" = 'checkpoint check ' ]
    [ -z "$(words drupe version '')" ]
    mkdir "$BATS_TEST_TMPDIR/one" && touch "$BATS_TEST_TMPDIR/only"
    [ "$(words drupe create --bundle "$BATS_TEST_TMPDIR/on")" = "$BATS_TEST_TMPDIR/one" ]
    [ "$(words drupe exec --process "$BATS_TEST_TMPDIR/on" | wc -l)" = 2 ]
    [ "$(words drupe exec --tty web "$BATS_TEST_TMPDIR/on" | wc -l)" = 2 ]
    # Each command offers what its --help shows.
    local command
    for command in create run exec delete update events checkpoint restore spec plan; do
        diff <(words drupe "$command" -- | grep -v '^--help$' | sort -u) <(drupe "$command" --help | sed -n 's/^  [^ ]* *\(--[a-z0-9-]*\).*/\1/p' | sort -u)
    done
}

@test "bash: containers, of the state directory that --root names" {
    setup_bundle
    args /probe trap
    detached run --detach --bundle "$BUNDLE" "$(container_id web)"
    [ "$(words drupe --root "$ROOT" kill "$TOKEN")" = "$TOKEN-web" ]
    [ "$(words drupe --root "$ROOT" delete --force '')" = "$TOKEN-web" ]
    [ "$(words drupe --root = "$ROOT" events --interval 5s '')" = "$TOKEN-web" ]
    [ -z "$(words drupe --root "$BATS_TEST_TMPDIR/none" kill '')" ]
    drupe delete --force "$TOKEN-web"
}

@test "bash: by the tabulator key" {
    PATH=$BATS_TEST_TMPDIR/bin:$PATH run -0 python3 - "$BASH_COMPLETION" 3>&- <<'END'
import os, pty, select, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ.update(PS1="> ", TERM="dumb", INPUTRC="/dev/null", HISTFILE="")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
seen = b""
def expect(text):
    global seen
    while text not in seen:
        assert select.select([fd], [], [], 10)[0], seen
        seen += os.read(fd, 4096)
    seen = seen.split(text, 1)[1]
expect(b"> ")
os.write(fd, b"source " + os.fsencode(sys.argv[1]) + b"\n")
expect(b"> ")
os.write(fd, b"drupe feat\t")
expect(b"drupe features ")
os.write(fd, b"\025drupe --log-format=js\t")
expect(b"--log-format=json ")
os.write(fd, b"\025exit\n")
os.waitpid(pid, 0)
END
}

@test "fish: commands, flags, choices, signals, operands" {
    command -v fish >/dev/null || skip 'needs fish'
    fish() { PATH=$BATS_TEST_TMPDIR/bin:$PATH command fish --no-config -c 'source $argv[1]; complete -C $argv[2]' \
        "$AT/share/fish/vendor_completions.d/drupe.fish" "$1" | cut -f 1 | tr '\n' ' '; }
    [ "$(fish 'drupe st')" = 'start state ' ]
    [ "$(fish 'drupe --log-format=')" = '--log-format=json --log-format=text ' ]
    [ "$(fish 'drupe list --format ')" = 'json table ' ]
    [ "$(fish 'drupe kill web KI')" = 'KILL ' ]
    [ "$(fish 'drupe create --bun')" = '--bundle ' ]
    [ "$(fish 'drupe mounts re')" = 'remove ' ]
}

@test "package: installed by dpkg, it runs a container; removed, nothing of it is there" {
    local deb files id
    id=$(container_id)
    deb=$("$TOP/tools/package" "$BATS_TEST_TMPDIR")
    [ "$(dpkg-deb -f "$deb" Package Architecture | tr '\n' ' ')" = "Package: drupe Architecture: $(dpkg --print-architecture) " ]
    [ -z "$(dpkg-deb -f "$deb" Depends)" ]
    [[ "$(dpkg-deb -f "$deb" Recommends)" == *libmnl0*libsystemd0* ]]
    [ "v$(dpkg-deb -f "$deb" Version)" = "v$(drupe --version | sed -n 's/^drupe version //p')-1" ]
    setup_bundle
    debian_rootfs
    local system=$BUNDLE/rootfs
    cp "$deb" "$system/drupe.deb"
    chroot "$system" dpkg -i /drupe.deb
    [ "$(chroot "$system" dpkg-query -W -f '${Status}' drupe)" = 'install ok installed' ]
    chroot "$system" dpkg -V drupe
    files=$(chroot "$system" dpkg -L drupe)
    grep -qx /usr/share/man/man1/drupe.1.gz <<<"$files"
    grep -qx /usr/share/doc/drupe/copyright <<<"$files"
    # The system's own kernel interfaces, for as long as this takes.
    unshare --mount --propagation private sh -euc '
        for dir in proc sys dev; do mount --rbind "/$dir" "$0/$dir"; done
        mkdir -p "$0/srv/rootfs/bin"
        cp "$1" "$0/srv/rootfs/bin/busybox"
        exec chroot "$0" sh -euc "
            drupe spec --bundle /srv
            sed -i \"s/\\\"terminal\\\": true/\\\"terminal\\\": false/; s,\\\"sh\\\",\\\"/bin/busybox\\\"\\, \\\"echo\\\"\\, \\\"it runs\\\",\" /srv/config.json
            drupe --root /srv/state run --bundle /srv \$0" "$2"' "$system" "$(command -v busybox)" "$id" >"$BATS_TEST_TMPDIR/out" 3>&-
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = 'it runs' ]
    chroot "$system" dpkg --purge drupe
    for file in $files; do
        case $file in
        *drupe*) [ ! -e "$system$file" ] ;;
        esac
    done
    [ -z "$(find "$system/usr" "$system/etc" "$system/var" -name '*drupe*' -not -path '*/log/*')" ]
}
