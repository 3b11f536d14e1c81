/* A plan for a fleet, told: as text for people, as JSON, as a layout file of mig-parted, and as
 * units of systemd. */
#pragma once

#include "cli/cli.h"
#include "needs/fleet.h"
#include "needs/late.h"

struct planned {
    const struct fleet *fleet;
    const struct needs *needs;
    const struct fleet_plan *plan;
};

/* The plan as text, with what proves it. */
void planned_print(const struct planned *p, const struct table_look *look, struct str *out);

/* Of it the table of what serves what. */
void planned_needs(const struct planned *p, const struct table_look *look, struct str *out);

/* The same in figures; NULL without memory. */
json_t *planned_json(const struct planned *p);

/* A layout file: one configuration per run of machines that are cut alike, called "plan" where
 * there is but one. GPUs that the plan has no use for are not in it. NULL without memory. */
json_t *planned_layout(const struct planned *p);

/* Writes one unit per replica into the folder, which is made if it is not there. *ret_n of them;
 * `ret_without` gets the names of those that have no command and so no units. */
int planned_units(const struct planned *p, const char *folder, unsigned *ret_n,
                  struct str *ret_without, struct error *err);
