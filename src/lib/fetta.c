/* The connection and the plain calls of libfetta; see fetta/fetta.h.
 *
 * This is what others link and load into their own processes, so a broken invariant is an error
 * here and never an abort, and nothing of ours but fetta_* is visible. */
#include "lib/inside.h"

#include <stdlib.h>
#include <string.h>

enum { FETTA_ACCEPTED = 202 };

const char *fetta_version(void)
{
    return FETTA_VERSION;
}

void fetta_free(void *given)
{
    free(given);
}

int lib_fail(const struct error *from, struct fetta_error *err)
{
    int code = from->code > 0 && from->code < ERROR_N ? -(int)from->code : -ERROR_IO;
    if (!err)
        return code;
    *err = (struct fetta_error){.code = code, .sys = from->sys};
    err->exit_status = error_exit((enum error_code)-code);
    str_copy(err->name, sizeof err->name, error_wire((enum error_code)-code));
    str_copy(err->text, sizeof err->text, from->text);
    return code;
}

int lib_invalid(struct fetta_error *err, const char *text)
{
    struct error e;
    error_set(&e, ERROR_INVALID, "%s", text);
    return lib_fail(&e, err);
}

int lib_no_memory(struct fetta_error *err)
{
    struct error e;
    error_set(&e, ERROR_NO_MEMORY, "no memory left in this program");
    return lib_fail(&e, err);
}

/* What the daemon said went wrong, as far as its body can be understood. */
static int refused(const struct client_reply *reply, struct fetta_error *err)
{
    const char *wire = "", *text = "";
    json_t *tree = json_loadb(reply->body, reply->size, 0, NULL);
    json_t *error = json_object_get(tree, "error");
    if (json_is_string(json_object_get(error, "code")))
        wire = json_string_value(json_object_get(error, "code"));
    if (json_is_string(json_object_get(error, "text")))
        text = json_string_value(json_object_get(error, "text"));
    struct error e;
    enum error_code code = error_from_wire(wire);
    if (code == ERROR_OK)
        code = ERROR_IO;
    if (*text)
        error_set(&e, code, "%s", text);
    else
        error_set(&e, code, "fettad answered with status %d and no explanation%s%s", reply->status,
                  *reply->version ? "; its version is " : "", reply->version);
    int rc = lib_fail(&e, err);
    if (err && *wire && code == ERROR_IO) /* a newer daemon's code keeps its name */
        str_copy(err->name, sizeof err->name, wire);
    json_decref(tree);
    return rc;
}

int fetta_open(const char *socket_path, struct fetta **ret, struct fetta_error *err)
{
    struct error e;
    const char *path = socket_path;
    if (!ret)
        return lib_invalid(err, "fetta_open needs somewhere to put the connection");
    *ret = NULL;
    if (!path)
        path = getenv("FETTA_SOCKET");
    if (!path || !*path)
        path = "/run/fetta/fetta.sock";
    struct fetta *f = malloc(sizeof *f);
    if (!f)
        return lib_no_memory(err);
    if (client_open(path, &f->client, &e) < 0) {
        free(f);
        return lib_fail(&e, err);
    }
    *ret = f;
    return 0;
}

void fetta_close(struct fetta *f)
{
    if (!f)
        return;
    client_close(f->client);
    free(f);
}

void fetta_cancel(struct fetta *f)
{
    if (f)
        client_cancel(f->client);
}

int fetta_request(struct fetta *f, const char *method, const char *path, const char *json,
                  int timeout_ms, char **ret_body, struct fetta_error *err)
{
    struct error e;
    struct client_reply reply;
    if (ret_body)
        *ret_body = NULL;
    if (!f || !method || !path)
        return lib_invalid(err, "a request needs a connection, a method and a path");
    if (client_request(f->client, method, path, json, json ? strlen(json) : 0, timeout_ms, &reply,
                       &e) < 0)
        return lib_fail(&e, err);
    int rc = reply.status == FETTA_ACCEPTED;
    if (reply.status < 200 || reply.status > 299)
        rc = refused(&reply, err);
    else if (ret_body)
        *ret_body = STEAL(reply.body);
    free(reply.body);
    return rc;
}

int fetta_events(struct fetta *f, const char *path, int (*line)(const char *json, void *arg),
                 void *arg, struct fetta_error *err)
{
    struct error e;
    struct client_reply reply;
    if (!f || !path || !line)
        return lib_invalid(err, "a stream needs a connection, a path and a function for its lines");
    int rc = client_stream(f->client, path, line, arg, &reply, &e);
    if (rc < 0 && !reply.body) /* else it is what `line` returned */
        rc = lib_fail(&e, err);
    else if (reply.status != 200)
        rc = refused(&reply, err);
    free(reply.body);
    return rc;
}

char *fetta_quote(const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    json_decref(string);
    return quoted;
}
