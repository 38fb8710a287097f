/*
 * The fence of a move of slots (src/shards/move.c, owner_state.c): one slot, its source and target,
 * the map, two movers that may both be at work, somebody who cancels, a source that starts again,
 * and clients that go by any map there has been.
 *
 * What the source has done is a number, and so is what of it the target has adopted. A mover may
 * stop anywhere; another one begins from the start. Source and target read the map whenever they
 * like: a mover tells them, or a request by a newer map does.
 *
 * Left out: what an adopted event is, and the order of events (src/shards/differential_test.c).
 */
#define WRITES 2
#define EPOCHS 4

mtype = { SOURCE, TARGET };

byte map_epoch = 1;
mtype map_owner = SOURCE;
byte source_epoch = 1;
mtype source_owner = SOURCE;
byte fence; /* durable: the epoch under which nothing is applied */
byte target_epoch = 1;
mtype target_owner = SOURCE;
byte done;    /* by the source */
byte adopted; /* of them by the target */
byte written; /* by the target itself */
#ifdef NEG_TARGET_EARLY
bool early; /* the target begins once it has everything, and not with the map */
#endif

/* For a request by any epoch: the only one that is admitted is the one that it goes by itself, and
 * no map has had a higher one. */
#define LEFT           (done + written < WRITES)
#define SOURCE_ADMITS  (source_owner == SOURCE && fence != source_epoch)
#ifdef NEG_TARGET_EARLY
#define TARGET_ADMITS  (target_owner == TARGET || early)
#else
#define TARGET_ADMITS  (target_owner == TARGET)
#endif

active proctype at_source()
{
    do
#ifdef NEG_ARRIVAL
    :: atomic { LEFT && SOURCE_ADMITS -> skip } /* looked at when it came */
        atomic { LEFT -> assert(map_owner == SOURCE); done++ } /* applied when there is time */
#else
    :: atomic { LEFT && SOURCE_ADMITS -> assert(map_owner == SOURCE); done++ }
#endif
    :: !LEFT -> break
    od
}

active proctype at_target()
{
    do
    :: atomic { LEFT && TARGET_ADMITS ->
            assert(map_owner == TARGET);
            assert(adopted == done); /* the whole history is there */
            written++ }
    :: !LEFT -> break
    od
}

active proctype reads_map()
{
    do
    :: atomic { source_epoch < map_epoch -> source_epoch = map_epoch; source_owner = map_owner }
    :: atomic { target_epoch < map_epoch -> target_epoch = map_epoch; target_owner = map_owner }
#ifdef NEG_TIMEOUT
    :: atomic { fence != 0 -> fence = 0 } /* the fence ends by itself */
#endif
    :: !LEFT -> break
    od
}

active proctype restarts()
{
    atomic {
        source_epoch = map_epoch; source_owner = map_owner
#ifdef NEG_VOLATILE
        ; fence = 0
#endif
    }
}

active proctype cancels()
{
    byte epoch = map_epoch;
    atomic {
        if
        :: map_epoch == epoch && map_epoch < EPOCHS -> map_epoch++
        :: else
        fi
    }
}

inline adopt()
{
    seen = done; /* read at the source, and some time later taken by the target */
    atomic {
        if
#ifdef NEG_LATE
        :: true ->
#else
        :: target_owner != TARGET ->
#endif
            assert(written == 0);
            if
            :: seen > adopted -> adopted = seen
            :: else
            fi
        :: else
        fi
    }
}

/* Every step may be its last. */
#define OR_STOPS if :: true -> skip :: true -> goto stopped fi

active [2] proctype mover()
{
    byte epoch, seen;
    atomic { map_owner == SOURCE && map_epoch < EPOCHS -> epoch = map_epoch }
    adopt();
    OR_STOPS;
    atomic {
        if
        :: source_epoch == epoch && source_owner == SOURCE -> fence = epoch
        :: else -> goto stopped
        fi
    }
    OR_STOPS;
#ifndef NEG_NO_DRAIN
    adopt();
    seen = done;
    if
    :: seen != adopted -> goto stopped /* verify */
    :: else
    fi;
#endif
#ifdef NEG_TARGET_EARLY
    early = true;
#endif
    OR_STOPS;
    atomic {
        if
#ifdef NEG_BLIND_FLIP
        :: map_epoch < EPOCHS -> map_epoch++; map_owner = TARGET
#else
        :: map_epoch == epoch -> map_epoch++; map_owner = TARGET
#endif
        :: else -> goto stopped
        fi
    }
#ifdef NEG_NEVER
    assert(false) /* that a move comes through is possible */
#endif
stopped: skip
}
