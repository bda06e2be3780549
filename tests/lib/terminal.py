#!/usr/bin/env python3
"""Runs a command on a terminal of its own and plays the user.

    terminal.py ROWSxCOLS [STEP]... -- COMMAND [ARG]...

Steps: expect=TEXT waits until the output has it (after what was expected before), send=TEXT types it (C escapes), size=ROWSxCOLS changes
the window, winch=TEXT
is expect=TEXT for a command that may not yet listen to SIGWINCH: it is sent again and again, kill=NUMBER signals the command, in=FILE gives it a file as stdin. After the last step
the output is read to its end. Prints the output as it came, then "status N", "restored yes|no" and "raw yes|no", whether the terminal's
settings are at the end as they were, and whether they were raw at the last expect. Fails after 60 s.
"""
import fcntl, os, pty, select, signal, struct, subprocess, sys, termios, time

LIMIT = 60
LIMIT *= int(os.environ.get("DRUPE_SLOW", 1))


def set_size(fd, text):
    rows, cols = map(int, text.split("x"))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def main():
    split = sys.argv.index("--")
    size, steps, command = sys.argv[1], sys.argv[2:split], sys.argv[split + 1:]
    master, slave = pty.openpty()
    set_size(slave, size)
    before = termios.tcgetattr(slave)
    deadline = time.monotonic() + LIMIT
    stdin = slave
    for step in steps:
        if step.startswith("in="):
            stdin = os.open(step[3:], os.O_RDONLY | os.O_NONBLOCK)
            os.set_blocking(stdin, True)

    def become_leader():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    child = subprocess.Popen(command, stdin=stdin, stdout=slave, stderr=slave, preexec_fn=become_leader)
    output, seen, raw = b"", 0, False

    def read_more():
        nonlocal output
        if time.monotonic() > deadline:
            child.kill()
            sys.stdout.buffer.write(output)
            sys.exit("terminal.py: nothing more after %d s" % LIMIT)
        if select.select([master], [], [], 0.05)[0]:
            output += os.read(master, 65536)
            return True
        return False

    for step in steps:
        word, _, text = step.partition("=")
        if word in ("expect", "winch"):
            while output.find(text.encode(), seen) < 0:
                if not read_more() and word == "winch":
                    child.send_signal(signal.SIGWINCH)
            seen = output.find(text.encode(), seen) + len(text)
            raw = not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
        elif word == "send":
            os.write(master, text.encode().decode("unicode_escape").encode("latin1"))
        elif word == "size":
            set_size(master, text)
        elif word == "kill":
            child.send_signal(int(text))
    while child.poll() is None:
        read_more()
    while read_more():
        pass
    status = child.returncode if child.returncode >= 0 else 128 - child.returncode
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    print("\nstatus %d\nrestored %s\nraw %s" % (status, "yes" if termios.tcgetattr(slave) == before else "no", "yes" if raw else "no"))


main()
