/* fuzz_fuse.c - requests of arbitrary bytes on a share: {u8 opcode, u8 node, u8 length, body} each */
#include "../unit/temp.h"
#include "hwvirt-sandbox/fuse/server.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fuse_server *server;
static struct fuse_worker *worker;

/* A share of two directories, a file and a link, made once; what requests make in it stays until the end. */
static void set_up(void)
{
	static const struct fuse_options o = { .inodes_max = 500, .fds_max = 100, .files_max = 50 };
	struct err e;
	int fd = temp_dir();

	if (mkdirat(fd, "d", 0755) < 0 || symlinkat("../x", fd, "l") < 0)
		abort();
	close(openat(fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	if (fuse_server_new(fd, &o, &server, &e) < 0 || fuse_worker_new(server, &worker, &e) < 0)
		abort();
}

static void request(uint32_t opcode, uint64_t node, const uint8_t *body, size_t len)
{
	static uint8_t reply[1 << 16];
	struct fuse_in_header h = { .len = (uint32_t)(sizeof(h) + len), .opcode = opcode, .nodeid = node };
	struct iovec out[2] = { { &h, sizeof(h) }, { (void *)body, len } }, in = { reply, sizeof(reply) };

	(void)fuse_serve(worker, out, 2, &in, 1);
}

/* They would cost time or disk, and nothing else. */
static bool costly(uint8_t opcode)
{
	return opcode == FUSE_FALLOCATE || opcode == FUSE_SYNCFS || opcode == FUSE_FSYNC || opcode == FUSE_FSYNCDIR;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuse_init_in init = { .major = 7, .minor = 36, .flags = ~0u };

	if (!server)
		set_up();
	request(FUSE_INIT, 0, (const uint8_t *)&init, sizeof(init));
	while (size >= 3) {
		size_t len = data[2] < size - 3 ? data[2] : size - 3;

		if (!costly(data[0] % 64))
			request(data[0] % 64, data[1] % 16 ? data[1] % 16 | (uint64_t)(data[1] / 16 % 4) << 32 : 1, data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	return 0;
}
