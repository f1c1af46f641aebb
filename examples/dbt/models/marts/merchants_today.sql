-- The merchants as an application's table would show them on the last day there is, or on the day
-- that --vars 'as_of: 2024-03-01' names.
select
    * exclude (_file, _loaded_at),
    effective_date::timestamp as updated_at,
    {{ as_of() }} as seen_on
from {{ ref('stg_merchants') }}
where effective_date <= {{ as_of() }}
qualify row_number() over (partition by merchant_id order by effective_date desc) = 1
