-- The state of fettad, schema 1: the current world as rows, past leases, and what happened.
-- Times: *_at are CLOCK_BOOTTIME and *_wall are CLOCK_REALTIME, both in nanoseconds. Look at it with
-- the sqlite3 shell while fettad runs; never write to it.

-- One row: which boot the *_at times belong to, and the next lease id.
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot_id TEXT NOT NULL DEFAULT '',
    next_id INTEGER NOT NULL DEFAULT 0 -- 0: nothing was written yet
) STRICT;
INSERT INTO meta (one) VALUES (1);

-- Texts with a number: named owners, keys, cgroup paths.
CREATE TABLE names (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;

-- GPU slots in order of first sight.
CREATE TABLE slots (slot INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE boards (
    board INTEGER PRIMARY KEY,
    name TEXT NOT NULL, product TEXT NOT NULL, pci_id INTEGER NOT NULL, family TEXT NOT NULL,
    cc_major INTEGER NOT NULL, cc_minor INTEGER NOT NULL, complete INTEGER NOT NULL,
    memory_slices INTEGER NOT NULL, compute_slices INTEGER NOT NULL, sms INTEGER NOT NULL,
    total_mib INTEGER NOT NULL
) STRICT;

CREATE TABLE profiles (
    board INTEGER NOT NULL REFERENCES boards (board) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    nvml INTEGER NOT NULL, id INTEGER NOT NULL, compute INTEGER NOT NULL, size INTEGER NOT NULL,
    starts INTEGER NOT NULL, max INTEGER NOT NULL, ce INTEGER NOT NULL, dec INTEGER NOT NULL,
    enc INTEGER NOT NULL, jpeg INTEGER NOT NULL, ofa INTEGER NOT NULL, l2 INTEGER NOT NULL,
    l2_of INTEGER NOT NULL, sms INTEGER NOT NULL, mib INTEGER NOT NULL, suffix TEXT NOT NULL,
    PRIMARY KEY (board, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    default_for INTEGER NOT NULL, max_for INTEGER NOT NULL, grace INTEGER NOT NULL,
    idle_keep INTEGER NOT NULL, warm_reuse TEXT NOT NULL, queue_max INTEGER NOT NULL,
    no_backfill INTEGER NOT NULL, rule TEXT NOT NULL,
    mix_low INTEGER NOT NULL, mix_high INTEGER NOT NULL, -- parts of 255 per profile, a byte each
    rule_since INTEGER NOT NULL, -- CLOCK_REALTIME
    vote_jobs INTEGER NOT NULL, vote_for INTEGER NOT NULL,
    vote_gain INTEGER NOT NULL, vote_noise INTEGER NOT NULL -- millionths
) STRICT;

CREATE TABLE gpus (
    gpu INTEGER PRIMARY KEY, -- the slot
    board INTEGER NOT NULL, present INTEGER NOT NULL, managed INTEGER NOT NULL,
    drained INTEGER NOT NULL, drain_reason INTEGER NOT NULL, fixed INTEGER NOT NULL, pool TEXT NOT NULL, mig TEXT NOT NULL,
    health TEXT NOT NULL, mode_changing INTEGER NOT NULL, mode_wanted INTEGER NOT NULL,
    mode_op INTEGER NOT NULL, op_n INTEGER NOT NULL,
    mode_retry_at INTEGER NOT NULL, whole_lease INTEGER NOT NULL, lost_at INTEGER NOT NULL,
    layout_fixed TEXT NOT NULL, -- PROFILE@START of the applied layout
    layout_busy INTEGER NOT NULL
) STRICT;

CREATE TABLE seats (
    gpu INTEGER NOT NULL REFERENCES gpus (gpu) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    state TEXT NOT NULL, profile INTEGER NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL,
    gi INTEGER NOT NULL, ci INTEGER NOT NULL, fixed INTEGER NOT NULL, tries INTEGER NOT NULL,
    lease INTEGER NOT NULL, op INTEGER NOT NULL, last TEXT NOT NULL, last_gid INTEGER NOT NULL, used INTEGER NOT NULL,
    since INTEGER NOT NULL, retry_at INTEGER NOT NULL,
    PRIMARY KEY (gpu, n)
) STRICT, WITHOUT ROWID;

-- Live leases and, with state 'ended', past ones.
CREATE TABLE leases (
    lease INTEGER PRIMARY KEY,
    state TEXT NOT NULL, why TEXT NOT NULL, revision INTEGER NOT NULL, owner TEXT NOT NULL,
    asker_uid INTEGER NOT NULL, gid INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL,
    profile_on TEXT NOT NULL, -- the profile on each board, - for none
    gpu INTEGER NOT NULL, gpus INTEGER NOT NULL, start INTEGER NOT NULL, priority INTEGER NOT NULL,
    movable INTEGER NOT NULL, bytes INTEGER NOT NULL, compute_ppt INTEGER NOT NULL,
    key INTEGER NOT NULL, for_ns INTEGER NOT NULL, grace_ns INTEGER NOT NULL,
    wait_until INTEGER NOT NULL, limit_slices INTEGER NOT NULL, limit_compute INTEGER NOT NULL,
    bind TEXT NOT NULL, bind_pid INTEGER NOT NULL, tree INTEGER NOT NULL,
    stay INTEGER NOT NULL, bind_start INTEGER NOT NULL,
    bind_ref INTEGER NOT NULL, asked_at INTEGER NOT NULL, started_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL, term_at INTEGER NOT NULL, kill_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL, warned INTEGER NOT NULL, signal INTEGER NOT NULL,
    signalled INTEGER NOT NULL, signal_before INTEGER NOT NULL, tries INTEGER NOT NULL,
    asked_wall INTEGER NOT NULL DEFAULT 0, started_wall INTEGER NOT NULL DEFAULT 0,
    ended_wall INTEGER NOT NULL DEFAULT 0,
    exit_status INTEGER NOT NULL DEFAULT -1,
    peak_bytes INTEGER NOT NULL DEFAULT 0, -- the most memory seen in use on one of its slices
    peak_looks INTEGER NOT NULL DEFAULT 0, -- in so many looks; 0: nobody looked
    left_behind TEXT NOT NULL DEFAULT '' -- what had to be ended after it: lines of PID NAME
) STRICT;
-- What a start of the daemon reads costs as many leases as live, however many are past.
CREATE INDEX leases_live ON leases (lease) WHERE state <> 'ended';
CREATE INDEX leases_past ON leases (ended_wall) WHERE state = 'ended';
CREATE INDEX leases_owner ON leases (owner, lease);

CREATE TABLE lease_slices (
    lease INTEGER NOT NULL REFERENCES leases (lease) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    gpu INTEGER NOT NULL, profile INTEGER NOT NULL, start INTEGER NOT NULL, gi INTEGER NOT NULL,
    ci INTEGER NOT NULL, made INTEGER NOT NULL,
    PRIMARY KEY (lease, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_text (
    lease INTEGER PRIMARY KEY,
    command TEXT NOT NULL, place TEXT NOT NULL, profile TEXT NOT NULL
) STRICT;

CREATE TABLE audit (
    n INTEGER PRIMARY KEY,
    wall INTEGER NOT NULL, lease INTEGER NOT NULL, uid INTEGER NOT NULL, what TEXT NOT NULL
) STRICT;
CREATE INDEX audit_wall ON audit (wall);
