/* Runs a fuzz target over files, and files in directories, without libFuzzer: the corpus as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0) {
		perror(path);
		return -1;
	}
	/* exactly as long as the file, for the sanitizers' sake */
	uint8_t *data = malloc(st.st_size ? (size_t)st.st_size : 1);
	size_t size = fread(data, 1, (size_t)st.st_size, f);

	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

static int replay_dir(const char *path, DIR *d)
{
	int n = 0;

	for (const struct dirent *entry = readdir(d); entry; entry = readdir(d)) {
		char file[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		int r = replay_file(file);

		if (r < 0)
			return r;
		n += r;
	}
	return n;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		int n = d ? replay_dir(argv[i], d) : replay_file(argv[i]);

		if (d)
			closedir(d);
		if (n < 0)
			return 1;
		total += n;
	}
	printf("%d inputs replayed\n", total);
	return total == 0;
}
