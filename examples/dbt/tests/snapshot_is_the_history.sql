-- From its first night on, the snapshot has every version of dim_merchants, with the same period.
-- Otherwise a night was left out: a merchant that changed on two days had its first change unseen.
with today as (
    select {{ as_of() }} as day, min(seen_on) as first_day from {{ ref('merchants_snapshot') }}
),
seen as (
    select merchant_id, version, dbt_valid_from as valid_from, dbt_valid_to as valid_to
    from {{ ref('merchants_snapshot') }}
),
history as (
    select merchant_id, version, valid_from, case when valid_to <= day then valid_to end as valid_to
    from {{ ref('dim_merchants') }}, today
    where valid_from <= day and (dim_merchants.valid_to is null or dim_merchants.valid_to > first_day)
)
(select 'in the files alone' as found, * from history except select 'in the files alone', * from seen)
union all
(select 'in the snapshot alone', * from seen except select 'in the snapshot alone', * from history)
