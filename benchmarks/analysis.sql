-- What an analyst would write by hand: 1 experiment, 10 metrics, straight from the event files.
-- One row per arm: units, then mean and population variance of each metric. `events` is a view over the files.
WITH first_exposures AS (
    SELECT user_id, min(arm) AS arm, max(arm) AS last_arm, min(occurred_at) AS first_exposure
    FROM (
        SELECT user_id, occurred_at, unnest(assignments, recursive := true)
        FROM events
        WHERE environment = 'production' AND type = 'exposure'
          AND occurred_at >= TIMESTAMPTZ '2026-03-02 00:00:00+00' AND occurred_at < TIMESTAMPTZ '2026-03-16 00:00:00+00'
    )
    WHERE experiment = 'checkout' AND phase = 1 AND user_id IS NOT NULL
    GROUP BY user_id
),
outcomes AS (
    SELECT user_id, occurred_at, type, name, value
    FROM events
    WHERE environment = 'production'
      AND (type = 'click' OR (type = 'conversion' AND name IN ('purchase', 'add_to_cart', 'signup'))
           OR (type = 'value' AND name IN ('revenue', 'seconds')))
      AND occurred_at >= TIMESTAMPTZ '2026-03-02 00:00:00+00' AND occurred_at < TIMESTAMPTZ '2026-03-16 00:00:00+00'
),
per_user AS (
    SELECT
        f.user_id,
        any_value(f.arm) AS arm,
        max(CASE WHEN type = 'conversion' AND name = 'purchase' THEN 1 ELSE 0 END) AS m0,
        max(CASE WHEN type = 'conversion' AND name = 'purchase'
                  AND occurred_at < first_exposure + INTERVAL 72 HOUR THEN 1 ELSE 0 END) AS m1,
        sum(CASE WHEN type = 'conversion' AND name = 'purchase' THEN 1 ELSE 0 END) AS m2,
        max(CASE WHEN type = 'conversion' AND name = 'add_to_cart' THEN 1 ELSE 0 END) AS m3,
        sum(CASE WHEN type = 'conversion' AND name = 'add_to_cart' THEN 1 ELSE 0 END) AS m4,
        max(CASE WHEN type = 'click' THEN 1 ELSE 0 END) AS m5,
        sum(CASE WHEN type = 'click' THEN 1 ELSE 0 END) AS m6,
        coalesce(sum(value) FILTER (WHERE type = 'value' AND name = 'revenue'), 0) AS m7,
        coalesce(sum(value) FILTER (WHERE type = 'value' AND name = 'seconds'), 0) AS m8,
        max(CASE WHEN type = 'conversion' AND name = 'signup'
                  AND occurred_at >= first_exposure + INTERVAL 24 HOUR
                  AND occurred_at < first_exposure + INTERVAL 168 HOUR THEN 1 ELSE 0 END) AS m9
    FROM first_exposures f
    LEFT JOIN outcomes o ON o.user_id = f.user_id AND o.occurred_at >= f.first_exposure
    WHERE f.arm = f.last_arm
    GROUP BY f.user_id
)
SELECT
    arm, count(*) AS n,
    avg(m0), var_pop(m0), avg(m1), var_pop(m1), avg(m2), var_pop(m2), avg(m3), var_pop(m3), avg(m4), var_pop(m4),
    avg(m5), var_pop(m5), avg(m6), var_pop(m6), avg(m7), var_pop(m7), avg(m8), var_pop(m8), avg(m9), var_pop(m9)
FROM per_user
GROUP BY arm
ORDER BY arm
