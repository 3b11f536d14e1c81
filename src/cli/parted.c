/* Reading is strict, as mig-parted is: unknown fields are errors, a label needs at least one entry,
 * counts are whole and not all zero, and MIG that is off has no devices. */
#include "cli/parted.h"

#include "base/str.h"
#include "text/field.h"
#include "text/json.h"
#include "text/yaml.h"

#include <string.h>

enum { LABELS = 64, COUNT_MOST = 64 };

/* "all", or a list of GPU indexes. */
static int check_devices(const struct field_at *at, const json_t *devices, struct error *err)
{
    const struct field index = {"", FIELD_INT, .min = 0, .max = 1023};
    size_t i;
    json_t *one;
    int64_t n;
    if (json_is_string(devices) && strcmp(json_string_value(devices), "all") == 0)
        return 0;
    if (!json_is_array(devices))
        return field_error(at, err, "write all, or a list of GPU indexes such as [0, 1]");
    json_array_foreach(devices, i, one)
    {
        struct field each = index;
        struct field_at here = field_index(at, devices, i);
        each.into = &n;
        int r = field_value(&here, one, &each, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A PCI id such as "0x233010DE", or a list of them. */
static int check_filter(const struct field_at *at, const json_t *filter, struct error *err)
{
    size_t i;
    json_t *one;
    if (!filter || json_is_string(filter))
        return 0;
    if (!json_is_array(filter))
        return field_error(at, err, "write a PCI id such as \"0x233010DE\", or a list of them");
    json_array_foreach(filter, i, one)
    {
        struct field_at here = field_index(at, filter, i);
        if (!json_is_string(one))
            return field_error(&here, err, "write a PCI id such as \"0x233010DE\"");
    }
    return 0;
}

static int check_counts(const struct field_at *at, const json_t *devices, bool enabled,
                        struct error *err)
{
    const char *profile;
    json_t *count;
    int64_t n, sum = 0;
    const struct field number = {"", FIELD_INT, &n, .min = 0, .max = COUNT_MOST};
    json_object_foreach((json_t *)devices, profile, count)
    {
        struct field_at here = field_key(at, devices, profile);
        int r = field_value(&here, count, &number, err);
        if (r < 0)
            return r;
        sum += n;
    }
    if (!enabled && json_object_size(devices))
        return field_error(at, err, "must be empty where mig-enabled is false");
    if (json_object_size(devices) && sum == 0)
        return field_error(at, err,
                           "at least one count must be above 0; write {} for no instances");
    return 0;
}

static int check_spec(const struct field_at *at, const json_t *spec, struct error *err)
{
    json_t *filter = NULL, *devices = NULL, *instances = NULL;
    bool enabled = false;
    const struct field fields[] = {
        {"device-filter", FIELD_ANY, &filter},
        {"devices", FIELD_ANY, &devices, .required = true},
        {"mig-enabled", FIELD_BOOL, &enabled, .required = true},
        {"mig-devices", FIELD_OBJECT, &instances},
    };
    if (!json_is_object(spec))
        return field_error(at, err, "an entry with devices and mig-enabled was expected");
    int r = field_read(at, spec, fields, ARRAY_LEN(fields), err);
    struct field_at here = field_key(at, spec, "device-filter");
    if (r == 0)
        r = check_filter(&here, filter, err);
    here = field_key(at, spec, "devices");
    if (r == 0)
        r = check_devices(&here, devices, err);
    if (r == 0 && enabled && !instances)
        r = field_error(at, err, "mig-devices is missing; write {} for no instances");
    here = field_key(at, spec, "mig-devices");
    return r < 0 ? r : check_counts(&here, instances, enabled, err);
}

static int check_label(const struct field_at *at, const json_t *specs, struct error *err)
{
    size_t i;
    json_t *spec;
    int r = 0;
    if (!json_is_array(specs) || json_array_size(specs) == 0)
        return field_error(at, err, "a list of at least one entry was expected");
    json_array_foreach(specs, i, spec)
    {
        struct field_at here = field_index(at, specs, i);
        r = check_spec(&here, spec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The label to take, with those there are in the error. */
static int choose(const json_t *configs, const char *what, const char *label, const json_t **ret,
                  struct error *err)
{
    const char *names[LABELS], *name;
    json_t *value;
    size_t n = 0;
    AUTO_STR struct str all = {0};
    json_object_foreach((json_t *)configs, name, value)
    {
        if (n < LABELS)
            names[n++] = name;
        str_addf(&all, "%s%s", all.len ? ", " : "", name);
    }
    if (!label && n == 1)
        label = names[0];
    if (!label)
        return error_set(err, ERROR_INVALID, "%s has %zu configurations; name one with -c: %s",
                         what, n, all.len ? all.text : "(none)");
    *ret = json_object_get(configs, label);
    if (*ret)
        return 0;
    const char *nearest = str_nearest(label, names, n);
    return error_set(err, ERROR_INVALID, "%s has no configuration '%.60s'%s%s%s it has: %s", what,
                     label, nearest ? "; is '" : "", nearest ? nearest : "",
                     nearest ? "' meant?" : ";", all.len ? all.text : "(none)");
}

static int check_document(const struct field_at *root, const json_t *document, json_t **ret_configs,
                          struct error *err)
{
    const char *version = NULL, *name;
    json_t *specs;
    const struct field fields[] = {
        {"version", FIELD_STRING, &version, .required = true},
        {"mig-configs", FIELD_OBJECT, ret_configs, .required = true},
    };
    if (!json_is_object(document))
        return field_error(root, err, "version and mig-configs were expected, not %s",
                           json_kind(document));
    int r = field_read(root, document, fields, ARRAY_LEN(fields), err);
    struct field_at at = field_key(root, document, "version");
    if (r == 0 && strcmp(version, "v1") != 0)
        r = field_error(&at, err, "'%.20s' is not a version that is known; it must be v1", version);
    at = field_key(root, document, "mig-configs");
    json_object_foreach(r == 0 ? *ret_configs : NULL, name, specs)
    {
        struct field_at here = field_key(&at, *ret_configs, name);
        r = check_label(&here, specs, err);
        if (r < 0)
            return r;
    }
    return r;
}

int parted_read(const char *text, size_t size, const char *what, const char *label, json_t **ret,
                struct error *err)
{
    AUTO_YAML struct yaml y = {0};
    json_t *configs = NULL;
    const json_t *specs = NULL;
    int r = yaml_parse(text, size, what, &y, err);
    if (r < 0)
        return r;
    struct field_at root = {.marks = &y.marks, .what = what};
    r = check_document(&root, y.root, &configs, err);
    if (r == 0)
        r = choose(configs, what, label, &specs, err);
    if (r < 0)
        return r;
    *ret = json_deep_copy(specs);
    return *ret ? 0 : error_set(err, ERROR_NO_MEMORY, "no memory left to read %s", what);
}

/* Whether two specs say the same of their GPUs. */
static bool same(const json_t *a, const json_t *b)
{
    static const char *const keys[] = {"mig-enabled", "mig-devices", "device-filter"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        if ((x || y) && !json_equal(x, y))
            return false;
    }
    return true;
}

static json_t *merge(const json_t *specs)
{
    json_t *merged = json_array(), *spec;
    size_t i;
    json_array_foreach(specs, i, spec)
    {
        size_t at = 0;
        while (at < json_array_size(merged) && !same(json_array_get(merged, at), spec))
            at++;
        json_t *devices = json_object_get(json_array_get(merged, at), "devices");
        int r = devices && json_is_array(devices)
                    ? json_array_extend(devices, json_object_get(spec, "devices"))
                    : json_array_append_new(merged, json_deep_copy(spec));
        if (r == 0)
            continue;
        json_decref(merged);
        return NULL;
    }
    return merged;
}

json_t *parted_document(const json_t *specs, const char *label)
{
    json_t *merged = merge(specs);
    if (!merged)
        return NULL;
    if (json_array_size(merged) == 1)
        (void)json_object_set_new(json_array_get(merged, 0), "devices", json_string("all"));
    return json_pack("{s:s, s:{s:o}}", "version", "v1", "mig-configs", label, merged);
}
