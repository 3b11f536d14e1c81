/* `fetta explain`: where a request would fit, or why not. Takes what run takes, and does nothing.
 */
#include "cli/ask.h"
#include "cli/get.h"
#include "cli/show.h"

#include "base/time.h"

#include <inttypes.h>
#include <string.h>

static void show_explain(const json_t *reply, const struct table_look *look, struct str *out)
{
    const char *head[] = {"GPU", "VERDICT", "WHY", "FREE AT"};
    const char *verdict = get_text(reply, "verdict");
    AUTO_TABLE struct table t = {.columns = ARRAY_LEN(head)};
    char when[24];
    size_t i;
    json_t *gpu;
    table_styled(out, look, TABLE_BOLD, verdict);
    str_addf(out, ": %s\n", get_text(reply, "text"));
    if (*get_text(reply, "hint"))
        str_addf(out, "%s\n", get_text(reply, "hint"));
    if (strcmp(verdict, "wait") == 0 && get_time(reply, "latest_start"))
        str_addf(out, "it would start at the latest at %s%s\n",
                 show_when(get_time(reply, "latest_start"), time_wall(), when),
                 get_int(reply, "position", 1) > 1 ? " as things stand" : "");
    else if (strcmp(verdict, "wait") == 0)
        str_add(out, "its latest start is not known\n");
    if (*get_text(get_in(reply, "rescue"), "text"))
        str_addf(out, "%s\n", get_text(get_in(reply, "rescue"), "text"));
    str_add(out, "\n");
    table_head(&t, head);
    size_t heading = t.n;
    json_array_foreach(get_in(reply, "gpus"), i, gpu)
    {
        /* Also "fits-warm" and "fits-mode". */
        bool fits = strncmp(get_text(gpu, "reason"), "fits", 4) == 0;
        table_addf(&t, "%" PRId64, get_int(gpu, "gpu", 0));
        table_add(&t, fits ? TABLE_GREEN : TABLE_PLAIN, get_text(gpu, "reason"));
        table_add(&t, TABLE_PLAIN, get_text(gpu, "text"));
        table_add(&t, TABLE_PLAIN,
                  fits ? "now" : show_when(get_time(gpu, "free_at"), time_wall(), when));
    }
    if (t.n > heading)
        table_print(&t, look, out);
}

int verb_explain(struct cli *c, int argc, char **argv)
{
    struct ask k = {0};
    struct args a = {0};
    struct error err;
    json_t *reply;
    int first;
    ask_which(&a, &k);
    ask_tasks(&a, &k);
    ask_terms(&a, &k);
    args_add_json(&a, c);
    int r = args_read(&a, c, argc, argv, 0, 0, &first, &err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = ask_check(&k, &err);
    if (r < 0)
        return cli_fail(c, &err);
    json_t *body = ask_body(&k);
    r = body ? cli_call(c, "POST", "/explain", body, &reply, &err)
             : error_set(&err, ERROR_NO_MEMORY, "no memory left to ask fettad");
    json_decref(body);
    if (r < 0)
        return cli_fail(c, &err);
    AUTO_STR struct str out = {0};
    if (!c->json)
        show_explain(reply, &c->out, &out);
    return cli_print_reply(c, reply, &out);
}
