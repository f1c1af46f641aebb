-- Each file of the manifest has all its rows in staging, once.
with loaded as (
    select _file, count(*) as rows from {{ ref('stg_merchants') }} group by all
    union all
    select _file, count(*) from {{ ref('stg_transactions') }} group by all
)
select file, files.rows, loaded.rows as loaded
from {{ source('landing', 'files') }} as files
full join loaded on file = _file
where files.rows <> coalesce(loaded.rows, 0) or file is null
