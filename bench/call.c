/* What one call costs, from outside: the daemon's, and what it is held against. Each verb prints
 * one line of bench/clock.h. Warm-up rounds are not counted. */
#include "bench/clock.h"

#include "base/error.h"
#include "wire/client.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

enum { WARM_UP = 20, ROUNDS_MAX = 1000000 };

static const char usage[] =
    "usage: bench-call N VERB ...\n"
    "  status SOCKET          GET /v1/status of fettad\n"
    "  connect SOCKET         the same on a connection of its own each time\n"
    "  grant SOCKET PROFILE   a lease bound to nothing; its end is not counted\n"
    "  ping                   a D-Bus call to a process on $DBUS_SESSION_BUS_ADDRESS\n"
    "  commit FILE            one small SQLite transaction, WAL, synchronous=FULL\n"
    "  spawn PROGRAM ARG...   posix_spawn and wait\n"
    "  spawn-commit FILE PROGRAM ARG...\n"
    "  --cpu N as first words: everything on one CPU\n";

static void die(const char *what)
{
    (void)fprintf(stderr, "bench-call: %s\n", what);
    exit(1);
}

/* ---- what is measured; each does one round and returns its ns ---- */

struct job {
    int64_t (*round)(struct job *j);
    const char *profile, *socket;
    struct client *client;
    sd_bus *bus;
    char name[64];      /* of the peer on the bus */
    sqlite3 *db;
    char **argv;
};

static struct client_reply ask(struct job *j, const char *method, const char *target,
                               const char *body, int64_t *ret_took)
{
    struct client_reply r = {0};
    struct error err;
    int64_t began = clock_now();
    if (client_request(j->client, method, target, body, body ? strlen(body) : 0, 60000, &r,
                       &err) < 0)
        die(err.text);
    if (ret_took)
        *ret_took = clock_now() - began;
    if (r.status != 200)
        die(r.body);
    return r;
}

static int64_t round_status(struct job *j)
{
    int64_t took;
    free(ask(j, "GET", "/v1/status", NULL, &took).body);
    return took;
}

static int64_t round_connect(struct job *j)
{
    struct error err;
    int64_t took, began = clock_now();
    if (client_open(j->socket, &j->client, &err) < 0)
        die(err.text);
    free(ask(j, "GET", "/v1/status", NULL, &took).body);
    took = clock_now() - began;
    client_close(j->client);
    j->client = NULL;
    return took;
}

static int64_t round_grant(struct job *j)
{
    char body[128], path[64];
    int64_t took;
    (void)snprintf(body, sizeof body, "{\"profile\":\"%s\",\"bind\":\"none\",\"for\":\"1h\"}",
                   j->profile);
    struct client_reply r = ask(j, "POST", "/v1/leases", body, &took);
    const char *id = strstr(r.body, "\"id\":");
    long lease = id ? strtol(id + 5, NULL, 10) : 0;
    free(r.body);
    if (lease == 0)
        die("a reply without an id");
    (void)snprintf(path, sizeof path, "/v1/leases/%ld", lease);
    free(ask(j, "DELETE", path, NULL, NULL).body);
    (void)snprintf(path, sizeof path, "/v1/leases/%ld?wait=ended", lease);
    free(ask(j, "GET", path, NULL, NULL).body);
    return took;
}

static int64_t round_ping(struct job *j)
{
    sd_bus_error err = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int64_t began = clock_now();
    int r = sd_bus_call_method(j->bus, j->name, "/", "org.freedesktop.DBus.Peer", "Ping", &err,
                               &reply, "");
    int64_t took = clock_now() - began;
    if (r < 0)
        die(err.message ? err.message : "no answer on the bus");
    sd_bus_message_unref(reply);
    sd_bus_error_free(&err);
    return took;
}

static int64_t round_commit(struct job *j)
{
    static const char row[] =
        "INSERT INTO t (at, what) VALUES (1, 'a row as long as a lease and a GPU with all of its "
        "slices make it, give or take a few hundred bytes')";
    int64_t began = clock_now();
    if (sqlite3_exec(j->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(j->db, row, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(j->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(j->db));
    return clock_now() - began;
}

static int64_t round_spawn(struct job *j)
{
    pid_t pid;
    int status;
    int64_t began = clock_now();
    if (posix_spawnp(&pid, j->argv[0], NULL, NULL, j->argv, environ) != 0)
        die("cannot start the program");
    if (waitpid(pid, &status, 0) != pid || status != 0)
        die("the program failed");
    return clock_now() - began;
}

static int64_t round_spawn_commit(struct job *j)
{
    return round_spawn(j) + round_commit(j);
}

/* ---- setting up ---- */

static void connect_to(struct job *j, const char *socket)
{
    struct error err;
    if (client_open(socket, &j->client, &err) < 0)
        die(err.text);
}

/* The other end: a process that answers Ping, as sd-bus does by itself. Never returns. */
static void serve_bus(int tell)
{
    sd_bus *bus = NULL;
    const char *name = NULL;
    if (sd_bus_open_user(&bus) < 0 || sd_bus_get_unique_name(bus, &name) < 0 ||
        write(tell, name, strlen(name) + 1) < 0)
        _exit(1);
    for (;;) {
        int r = sd_bus_process(bus, NULL);
        if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
            _exit(0);
    }
}

static pid_t open_bus(struct job *j)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("no pipe");
    pid_t peer = fork();
    if (peer == 0)
        serve_bus(ends[1]);
    (void)close(ends[1]);
    if (read(ends[0], j->name, sizeof j->name) <= 0 || sd_bus_open_user(&j->bus) < 0)
        die("no bus at $DBUS_SESSION_BUS_ADDRESS");
    (void)close(ends[0]);
    return peer;
}

static void open_db(struct job *j, const char *path)
{
    if (sqlite3_open(path, &j->db) != SQLITE_OK ||
        sqlite3_exec(j->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                            "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, at, what)",
                     NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(j->db));
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        die("cannot stay on one CPU");
}

static pid_t prepare(struct job *j, int argc, char **argv)
{
    const char *verb = argv[0];
    pid_t peer = 0;
    if (strcmp(verb, "status") == 0 && argc == 2) {
        j->round = round_status;
        connect_to(j, argv[1]);
    } else if (strcmp(verb, "connect") == 0 && argc == 2) {
        j->round = round_connect;
        j->socket = argv[1];
    } else if (strcmp(verb, "grant") == 0 && argc == 3) {
        j->round = round_grant;
        j->profile = argv[2];
        connect_to(j, argv[1]);
    } else if (strcmp(verb, "ping") == 0) {
        j->round = round_ping;
        peer = open_bus(j);
    } else if (strcmp(verb, "commit") == 0 && argc == 2) {
        j->round = round_commit;
        open_db(j, argv[1]);
    } else if (strcmp(verb, "spawn") == 0 && argc > 1) {
        j->round = round_spawn;
        j->argv = argv + 1;
    } else if (strcmp(verb, "spawn-commit") == 0 && argc > 2) {
        j->round = round_spawn_commit;
        open_db(j, argv[1]);
        j->argv = argv + 2;
    } else {
        die(usage);
    }
    return peer;
}

int main(int argc, char **argv)
{
    struct job j = {0};
    if (argc > 2 && strcmp(argv[1], "--cpu") == 0) {
        pin((int)strtol(argv[2], NULL, 10));
        argc -= 2;
        argv += 2;
    }
    unsigned long n = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (n == 0 || n > ROUNDS_MAX)
        die(usage);
    int64_t *took = calloc(n, sizeof *took);
    if (!took)
        die("out of memory");
    const char *verb = argv[2];
    pid_t peer = prepare(&j, argc - 2, argv + 2);
    for (unsigned i = 0; i < WARM_UP && i < n; i++)
        (void)j.round(&j);
    for (unsigned long i = 0; i < n; i++)
        took[i] = j.round(&j);
    clock_print(verb, took, n);
    if (peer > 0)
        (void)kill(peer, SIGKILL);
    client_close(j.client);
    sd_bus_unref(j.bus);
    (void)sqlite3_close(j.db);
    free(took);
    return 0;
}
