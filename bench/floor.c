/* The floor: what it costs to start N processes and to wait for them, with nothing around it.
 *
 *   floor [-o DIR] N -- COMMAND [ARG...]
 *
 * posix_spawn all N, then wait for all N. stdin is /dev/null; stdout too, or with -o the file DIR/<i>, one per process.
 * Prints the milliseconds from the first spawn to the last wait. Exits 1 if one of them did not exit with 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  const char *dir = NULL;
  int at = 1;
  if (argc > 2 && strcmp(argv[1], "-o") == 0) {
    dir = argv[2];
    at = 3;
  }
  if (argc < at + 3 || strcmp(argv[at + 1], "--") != 0) {
    fprintf(stderr, "usage: floor [-o DIR] N -- COMMAND [ARG...]\n");
    return 64;
  }
  long count = strtol(argv[at], NULL, 10);
  char **command = argv + at + 2;

  posix_spawn_file_actions_t to_null;
  posix_spawn_file_actions_init(&to_null);
  posix_spawn_file_actions_addopen(&to_null, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&to_null, 1, "/dev/null", O_WRONLY, 0);

  double start = now_ms();
  for (long i = 0; i < count; i++) {
    posix_spawn_file_actions_t to_file, *actions = &to_null;
    char path[4096];
    if (dir) {
      snprintf(path, sizeof path, "%s/%ld", dir, i);
      posix_spawn_file_actions_init(&to_file);
      posix_spawn_file_actions_addopen(&to_file, 0, "/dev/null", O_RDONLY, 0);
      posix_spawn_file_actions_addopen(&to_file, 1, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      actions = &to_file;
    }
    pid_t pid;
    int error = posix_spawnp(&pid, command[0], actions, NULL, command, environ);
    if (dir) posix_spawn_file_actions_destroy(&to_file);
    if (error) {
      fprintf(stderr, "floor: cannot start process %ld (%s): %s\n", i + 1, command[0], strerror(error));
      return 1;
    }
  }
  int bad = 0;
  for (long left = count; left > 0;) {
    int status;
    if (wait(&status) < 0) {
      if (errno == EINTR) continue;
      perror("floor: wait");
      return 1;
    }
    left--;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) bad++;
  }
  printf("%.3f\n", now_ms() - start);
  return bad != 0;
}
