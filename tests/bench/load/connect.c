/* Opening and closing: how fast new authenticated clients come in, what one of them costs
 * the server in time and memory, and whether those who are in already notice.
 *
 *   connect --port N --pid N [--idle N] [--burst N] [--cycles N] [--at-once N]
 *           [--subprotocol NAME] [--greeted] [--goodbye] [--no-token] [--no-memory]
 *
 * In this order, each phase only if asked for:
 *   --idle N    opens N connections that stay, and weighs the server before and after
 *   --burst N   opens N as fast as the server takes them, then closes them together
 *   --cycles N  opens and closes N, at most --at-once (64) at a time
 *
 * A connection is open when its 101 has come and, with --greeted, a first frame behind it.
 * It is closed by closing the socket, with --goodbye by a close frame and its answer. Each
 * client has a user and a JWT of its own, made before the clock runs.
 *
 * One line of JSON: `idle_kib` (growth of the process for each idle connection),
 * `connects_per_s` and `connect_us` of the burst, `cycles_per_s` and `cycle_us` (an open and
 * a close together), `left_kib` (growth of the process over its size with the idle ones, when
 * burst and cycles are over; with --no-memory neither is waited for, and so means nothing).
 * Times ending in `_us` without more are CPU time of all threads of the server for one
 * connection. `stall_us` and `ping_p99_us`, for burst, closing and cycles: the slowest and
 * almost the slowest ping of a client that sends one every
 * millisecond. From the moment before the ping is handed to the kernel to the moment at which
 * the kernel receives the pong: that this program does not get to run in between is no
 * stall of the server. */
#include "ws_client.h"

#include <pubhook/pubhook.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PINGS 600000
#define PER_ADDRESS 4000 /* connections from one client address, so that ports never run out */
#define SEND_IS_SLOW_US 200
#define TIDY_UP_US 3000000

enum phase { BURST, CLOSING, CYCLES, PHASES, QUIET = -1 };

struct conn {
    int fd;
    bool open, closing;
    unsigned char seen[4]; /* the last bytes before the end of the head */
    bool head_done;
};

struct load {
    int port, pid, idle, burst, cycles, at_once;
    const char *subprotocol;
    bool greeted, goodbye, no_token, no_memory;
    int epoll;
    struct conn *conns;
    char **requests; /* one for each of the clients that there are at a time */
    size_t *request_lens;
    int clients;
    unsigned made; /* connections ever, for their addresses */
    int open, waiting, closed;
};

struct pinger {
    struct load *load;
    int fd;
    atomic_int phase; /* QUIET: nothing is sent */
    atomic_bool over;
    uint32_t *took[PHASES];
    size_t count[PHASES];
    size_t skipped;
};

/* By the clock of the kernel's timestamps. */
static int64_t wall_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* --- The server, seen from outside -------------------------------------------- */

/* Nanoseconds on a processor, of all threads. */
static int64_t cpu_ns(int pid)
{
    char path[300];
    int64_t sum = 0;
    DIR *tasks;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    tasks = opendir(path);
    if (!tasks)
        bench__die("there is no process %d", pid);
    for (struct dirent *e; (e = readdir(tasks));) {
        long long ns = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
        f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (f && fscanf(f, "%lld", &ns) == 1)
            sum += ns;
        if (f)
            fclose(f);
    }
    closedir(tasks);
    return sum;
}

static double resident_kib(int pid)
{
    char path[64], line[256];
    long long kib = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
    f = fopen(path, "r");
    while (f && kib < 0 && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "Rss: %lld", &kib) != 1)
            kib = -1;
    }
    if (f)
        fclose(f);
    if (kib < 0)
        bench__die("cannot read %s", path);
    return (double)kib;
}

/* --- Requests -------------------------------------------------------------------- */

static char *target_of(const struct load *l, int client)
{
    char connection_string[256], user[32], *url, *target;
    const struct ph_token_options options = {.user_id = user};

    if (l->no_token)
        return strdup("/client/hubs/bench");
    snprintf(user, sizeof(user), "user-%d", client);
    snprintf(connection_string, sizeof(connection_string),
             "Endpoint=http://127.0.0.1:%d;AccessKey=%s;Version=1.0;", l->port,
             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH");
    if (ph_client_access_url(connection_string, "bench", &options, &url) != PH_OK)
        bench__die("no token");
    target = strdup(strstr(url + 5, "/client"));
    ph_token_free(url);
    return target;
}

static void make_requests(struct load *l)
{
    char request[8192], protocol[128] = "";

    l->requests = calloc((size_t)l->clients, sizeof(*l->requests));
    l->request_lens = calloc((size_t)l->clients, sizeof(*l->request_lens));
    if (l->subprotocol)
        snprintf(protocol, sizeof(protocol), "Sec-WebSocket-Protocol: %s\r\n", l->subprotocol);
    for (int i = 0; i < l->clients; i++) {
        char *target = target_of(l, i);

        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n%s\r\n",
                 target, l->port, protocol);
        l->requests[i] = strdup(request);
        l->request_lens[i] = strlen(request);
        free(target);
    }
}

/* --- Connections ------------------------------------------------------------------- */

static int dial(struct load *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)l->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr =
                                   htonl(INADDR_LOOPBACK + 1 + l->made++ / PER_ADDRESS)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        bench__die("socket: %s (ulimit -n?)", strerror(errno));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        bench__die("connect to port %d: %s", l->port, strerror(errno));
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    if (send(fd, data, len, MSG_NOSIGNAL) != (ssize_t)len)
        bench__die("send: %s", strerror(errno));
}

static void start_open(struct load *l, int client)
{
    struct conn *c = &l->conns[client];
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

    *c = (struct conn){.fd = dial(l)};
    send_all(c->fd, l->requests[client], l->request_lens[client]);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        bench__die("epoll_ctl: %s", strerror(errno));
    l->waiting++;
}

static void finish_close(struct load *l, struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    c->open = c->closing = false;
    l->open--;
    l->closed++;
}

static void start_close(struct load *l, struct conn *c)
{
    static const char frame[] = "\x88\x82\0\0\0\0\x03\xe8"; /* 1000, masked with zeros */

    if (l->goodbye) {
        send_all(c->fd, frame, sizeof(frame) - 1);
        c->closing = true;
    } else {
        finish_close(l, c);
    }
}

/* Where the head ends in these bytes; NULL: not here. */
static const unsigned char *head_end(struct conn *c, const unsigned char *at,
                                     const unsigned char *end)
{
    while (at < end) {
        memmove(c->seen, c->seen + 1, 3);
        c->seen[3] = *at++;
        if (memcmp(c->seen, "\r\n\r\n", 4) == 0)
            return at;
    }
    return NULL;
}

static void receive(struct load *l, struct conn *c)
{
    static unsigned char buffer[65536];
    ssize_t n = recv(c->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    const unsigned char *at = buffer, *end = buffer + (n > 0 ? n : 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (c->closing) {
        if (n <= 0)
            finish_close(l, c);
        return;
    }
    if (n <= 0)
        bench__die("the server hung up on a connection: %s",
                   n == 0 ? "end of file" : strerror(errno));
    if (!c->head_done) {
        if (c->seen[3] == 0 && (n < 12 || memcmp(buffer, "HTTP/1.1 101", 12) != 0))
            bench__die("refused: %.*s", (int)n, (const char *)buffer);
        at = head_end(c, at, end);
        c->head_done = at;
    }
    if (c->head_done && !c->open && (!l->greeted || at < end)) {
        c->open = true;
        l->open++;
        l->waiting--;
    }
}

static void wait_some(struct load *l, bool close_opened)
{
    struct epoll_event events[256];
    int n = epoll_wait(l->epoll, events, 256, 10000);

    if (n == 0)
        bench__die("nothing came for 10 s: %d open, %d on their way", l->open, l->waiting);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        bool was_open = c->open;

        receive(l, c);
        if (close_opened && c->open && !was_open)
            start_close(l, c);
    }
}

static void open_range(struct load *l, int from, int to)
{
    for (int i = from; i < to; i++) {
        start_open(l, i);
        while (l->waiting >= l->at_once)
            wait_some(l, false);
    }
    while (l->waiting > 0)
        wait_some(l, false);
}

static void close_them(struct load *l, int from, int to)
{
    for (int i = from; i < to; i++)
        start_close(l, &l->conns[i]);
    while (l->open > from)
        wait_some(l, false);
}

static int free_client(const struct load *l)
{
    int i = l->idle;

    while (l->conns[i].fd >= 0)
        i++;
    return i;
}

static void run_cycles(struct load *l)
{
    l->closed = 0;
    for (int started = 0; l->closed < l->cycles;) {
        while (started < l->cycles && started - l->closed < l->at_once) {
            start_open(l, free_client(l));
            started++;
        }
        wait_some(l, true);
    }
}

/* --- The one that looks for stalls --------------------------------------------------- */

/* When the kernel got the pong, by the clock of CLOCK_REALTIME; 0: the socket is closed. */
static int64_t await_pong(int fd)
{
    char data[256];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec piece = {data, sizeof(data)};
    struct msghdr msg = {.msg_iov = &piece,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &msg, 0);

    if (n <= 0)
        return 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        struct timespec ts;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
            continue;
        memcpy(&ts, CMSG_DATA(c), sizeof(ts));
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
    }
    return wall_us();
}

static void *ping(void *arg)
{
    static const char frame[] = "\x89\x80\0\0\0"; /* masked with zeros */
    struct pinger *p = arg;

    while (!p->over) {
        int64_t before = wall_us(), after, got;
        int phase = p->phase;

        if (phase == QUIET) {
            usleep(1000);
            continue;
        }
        send_all(p->fd, frame, sizeof(frame));
        after = wall_us();
        got = await_pong(p->fd);
        if (got == 0)
            bench__die("the server hung up on the client that pings");
        if (after - before > SEND_IS_SLOW_US) {
            p->skipped++; /* we did not get to run */
        } else if (p->count[phase] < MAX_PINGS) {
            p->took[phase][p->count[phase]++] = (uint32_t)(got > before ? got - before : 0);
        }
        usleep(1000);
    }
    return NULL;
}

static void start_pinger(struct pinger *p, struct load *l, pthread_t *thread)
{
    int on = 1, at;

    *p = (struct pinger){.load = l, .phase = QUIET};
    for (int i = 0; i < PHASES; i++)
        p->took[i] = calloc(MAX_PINGS, sizeof(*p->took[i]));
    at = l->clients - 1;
    open_range(l, at, at + 1);
    l->open--;
    p->fd = l->conns[at].fd;
    if (epoll_ctl(l->epoll, EPOLL_CTL_DEL, p->fd, NULL) != 0 ||
        setsockopt(p->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0 ||
        pthread_create(thread, NULL, ping, p) != 0)
        bench__die("cannot start to ping: %s", strerror(errno));
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void print_pings(struct pinger *p, int phase, const char *prefix)
{
    size_t count = p->count[phase];
    uint32_t *took = p->took[phase];

    if (count == 0)
        return;
    qsort(took, count, sizeof(*took), by_value);
    printf(", \"%s_pings\": %zu, \"%s_ping_p50_us\": %u, \"%s_ping_p99_us\": %u, "
           "\"%s_stall_us\": %u",
           prefix, count, prefix, took[count / 2], prefix, took[count * 99 / 100], prefix,
           took[count - 1]);
}

/* --- Phases ------------------------------------------------------------------------------ */

/* The server may still be busy with what the last of us did, and tidies up behind it. */
static void settle(const struct load *l)
{
    int64_t before = -1, now;

    if (!l->no_memory)
        usleep(TIDY_UP_US);
    now = cpu_ns(l->pid);
    for (int i = 0; i < 100 && now - before > 1000000; i++) {
        before = now;
        usleep(50000);
        now = cpu_ns(l->pid);
    }
}

/* Closed sockets are closed for us, and the server learns of them while it pings. */
static void await_closed(const struct pinger *p)
{
    size_t before = 0;
    int64_t cpu = cpu_ns(p->load->pid), used = INT64_MAX;

    while (used > 20000000 || p->count[CLOSING] < before + 10) {
        before = p->count[CLOSING];
        usleep(50000);
        used = cpu_ns(p->load->pid) - cpu;
        cpu += used;
    }
}

struct stopwatch {
    int64_t at_us, cpu;
};

static struct stopwatch start_watch(const struct load *l)
{
    return (struct stopwatch){bench__now_us(), cpu_ns(l->pid)};
}

/* The pings that run beside it cost the server time too, a thousand a second; they are in. */
static void print_phase(const struct load *l, const struct stopwatch *begun, int64_t end_us,
                        int count, const char *rate, const char *cost)
{
    printf(", \"%s\": %.0f, \"%s\": %.1f", rate,
           (double)count * 1e6 / (double)(end_us - begun->at_us), cost,
           (double)(cpu_ns(l->pid) - begun->cpu) / 1e3 / count);
}

static void run(struct load *l)
{
    struct pinger p;
    pthread_t thread;
    struct stopwatch watch;
    double empty, with_idle;
    int64_t end;

    start_pinger(&p, l, &thread);
    settle(l);
    empty = resident_kib(l->pid);
    open_range(l, 0, l->idle);
    settle(l);
    with_idle = resident_kib(l->pid);
    printf("{\"idle\": %d, \"idle_kib\": %.3f", l->idle,
           l->idle ? (with_idle - empty) / l->idle : 0);
    if (l->burst > 0) {
        watch = start_watch(l);
        p.phase = BURST;
        open_range(l, l->idle, l->idle + l->burst);
        end = bench__now_us();
        p.phase = QUIET;
        print_phase(l, &watch, end, l->burst, "connects_per_s", "connect_us");
        p.phase = CLOSING;
        close_them(l, l->idle, l->idle + l->burst);
        await_closed(&p);
        p.phase = QUIET;
        settle(l);
    }
    if (l->cycles > 0) {
        watch = start_watch(l);
        p.phase = CYCLES;
        run_cycles(l);
        end = bench__now_us();
        p.phase = QUIET;
        print_phase(l, &watch, end, l->cycles, "cycles_per_s", "cycle_us");
        settle(l);
    }
    p.over = true;
    pthread_join(thread, NULL);
    print_pings(&p, BURST, "burst");
    print_pings(&p, CLOSING, "closing");
    print_pings(&p, CYCLES, "cycles");
    printf(", \"left_kib\": %.0f, \"pings_skipped\": %zu}\n", resident_kib(l->pid) - with_idle,
           p.skipped);
}

static const char usage[] =
    "usage: connect --port N --pid N [--idle N] [--burst N] [--cycles N] [--at-once N]\n"
    "               [--subprotocol NAME] [--greeted] [--goodbye] [--no-token]\n"
    "               [--no-memory]\n"
    "The head of connect.c says what is measured and printed.\n";

static void parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"pid", required_argument, NULL, 'P'},
                                            {"idle", required_argument, NULL, 'i'},
                                            {"burst", required_argument, NULL, 'b'},
                                            {"cycles", required_argument, NULL, 'c'},
                                            {"at-once", required_argument, NULL, 'a'},
                                            {"subprotocol", required_argument, NULL, 's'},
                                            {"greeted", no_argument, NULL, 'g'},
                                            {"goodbye", no_argument, NULL, 'G'},
                                            {"no-token", no_argument, NULL, 'n'},
                                            {"no-memory", no_argument, NULL, 'm'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int *const numbers[] = {['p'] = &l->port,  ['P'] = &l->pid,    ['i'] = &l->idle,
                            ['b'] = &l->burst, ['c'] = &l->cycles, ['a'] = &l->at_once};
    bool *const flags[] = {
        ['g'] = &l->greeted, ['G'] = &l->goodbye, ['n'] = &l->no_token, ['m'] = &l->no_memory};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        }
        if (c == '?')
            exit(2);
        if (c == 's')
            l->subprotocol = optarg;
        else if (optarg)
            *numbers[c] = atoi(optarg);
        else
            *flags[c] = true;
    }
    if (l->port <= 0 || l->pid <= 0 || l->at_once <= 0 || l->idle < 0) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct load l = {.at_once = 64};
    struct rlimit files;
    int busy;

    parse(&l, argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    busy = l.burst > l.at_once ? l.burst : l.at_once;
    l.clients = l.idle + busy + 1; /* the last one pings */
    l.conns = calloc((size_t)l.clients, sizeof(*l.conns));
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l.conns || l.epoll < 0)
        bench__die("out of resources");
    for (int i = 0; i < l.clients; i++)
        l.conns[i].fd = -1;
    make_requests(&l);
    run(&l);
    return 0;
}
