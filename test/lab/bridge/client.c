/*
 * The near end of the bridge: a program that is called `zfs`, `zpool` or `zdb` by links, and is
 * that program in the guest. Words, bytes and the end, by exit code or by signal, pass unchanged.
 * Killed, it takes the one in the guest with it; when the guest is gone, so is this.
 *
 * The file that LAB_BRIDGE names holds the port on this machine that leads to the guest; it is another one
 * after each start. `in-guest CMD WORD...` runs anything. In the folder LAB_BRIDGE_COUNTS, where that is set, a file
 * called as the process id tells, also after the end, how many bytes were taken from standard input and given to
 * standard output (two u64).
 */
#include "wire.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static volatile sig_atomic_t asked;
static uint32_t pid;

static void on_signal(int number) { asked = number; }

static void die(const char *what) {
  fprintf(stderr, "bridge: %s: %s\n", what, strerror(errno));
  exit(125);
}

/* Ends as if it had not been caught. */
static void die_by(int number) {
  sigset_t all;
  signal(number, SIG_DFL);
  sigemptyset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  raise(number);
  exit(128 + number);
}

static uint16_t port(void) {
  const char *name = getenv("LAB_BRIDGE");
  char told[16] = "";
  FILE *file = fopen(name ? name : "LAB_BRIDGE", "re");
  if (!file || !fgets(told, sizeof told, file)) die("LAB_BRIDGE names no file with a port");
  fclose(file);
  return (uint16_t)atoi(told);
}

static int dial(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port())};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  keep_little(fd);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("the guest does not answer");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void pass_signal(uint32_t number) {
  char words[9] = {KILL};
  int fd = dial();
  memcpy(words + 1, &pid, 4);
  memcpy(words + 5, &number, 4);
  write_all(fd, words, sizeof words);
  read_all(fd, words, 1); /* until it is done */
  close(fd);
}

/* What is written there stays when this is killed. */
static volatile uint64_t *counts(void) {
  static uint64_t nowhere[2];
  const char *folder = getenv("LAB_BRIDGE_COUNTS");
  char name[4096];
  if (!folder) return nowhere;
  snprintf(name, sizeof name, "%s/%d", folder, (int)getpid());
  int file = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, sizeof nowhere) < 0) return nowhere;
  void *shared = mmap(NULL, sizeof nowhere, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return shared == MAP_FAILED ? nowhere : shared;
}

static int has_input(void) {
  struct stat facts;
  if (fstat(0, &facts) < 0) return 0;
  return !(S_ISCHR(facts.st_mode) && facts.st_rdev == makedev(1, 3));
}

static void ask(int fd, int count, char **words, char input) {
  size_t length = 6;
  for (int n = 0; n < count; n++) length += 4 + strlen(words[n]);
  char *question = malloc(length), *at = question;
  uint32_t number = (uint32_t)count;
  *at++ = RUN;
  memcpy(at, &number, 4);
  at += 4;
  for (int n = 0; n < count; n++) {
    uint32_t size = (uint32_t)strlen(words[n]);
    memcpy(at, &size, 4);
    memcpy(at + 4, words[n], size);
    at += 4 + size;
  }
  *at = input;
  if (write_all(fd, question, length) < 0) die("the guest does not listen");
  free(question);
}

static void end_like(const char *told) {
  int status;
  memcpy(&status, told, sizeof status);
  if (WIFSIGNALED(status)) die_by(WTERMSIG(status));
  exit(WEXITSTATUS(status));
}

int main(int count, char **words) {
  char *name = strrchr(words[0], '/'), input = (char)has_input(), frame[5 + MOST];
  int hears = 1, fd;
  uint32_t length;
  volatile uint64_t *moved;
  name = name ? name + 1 : words[0];
  if (strcmp(name, "in-guest") == 0) words++, count--;
  else words[0] = name;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  int streams = count > 1 && (strcmp(words[1], "send") == 0 || strcmp(words[1], "receive") == 0);
  moved = streams ? counts() : (uint64_t[2]){0};
  fd = dial();
  ask(fd, count, words, input);
  for (;;) {
    struct pollfd at[3] = {{fd, POLLIN, 0}, {input ? 0 : -1, POLLIN, 0}, {hears ? 1 : -1, 0, 0}};
    int ready = poll(at, 3, asked && pid ? 0 : 200);
    if (asked && pid) {
      pass_signal((uint32_t)asked);
      asked = 0;
      continue;
    }
    if (ready < 0) continue;
    if (at[0].revents) {
      int type = take_frame(fd, frame, &length);
      if (type == STARTED) memcpy(&pid, frame, sizeof pid);
      else if (type == ERRORS) write_all(2, frame, length);
      else if (type == OUTPUT && hears) {
        hears = write_all(1, frame, length) == 0;
        moved[1] += hears ? length : 0;
      } else if (type == OUTPUT) continue;
      else if (type == END) end_like(frame);
      else die_by(SIGKILL); /* the power is off */
      if (type == OUTPUT && !hears) send_frame(fd, DEAF, frame, 0);
    }
    if (hears && (at[2].revents & (POLLERR | POLLNVAL))) {
      hears = 0;
      send_frame(fd, DEAF, frame, 0);
    }
    if (at[1].revents) {
      ssize_t got = read(0, frame + 5, MOST);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) input = 0;
      else moved[0] += (uint64_t)got;
      send_frame(fd, INPUT, frame, got > 0 ? (uint32_t)got : 0); /* where it fails, the guest's last words tell why */
    }
  }
}
