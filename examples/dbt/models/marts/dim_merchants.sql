-- SCD type 2 from the files, which hold every version: in force from valid_from until the day
-- before valid_to.
select
    * exclude (_file, _loaded_at),
    effective_date as valid_from,
    lead(effective_date) over versions as valid_to,
    valid_to is null as is_current
from {{ ref('stg_merchants') }}
window versions as (partition by merchant_id order by effective_date)
