-- Every payment with the version of its merchant that was in force that day.
select
    payments.*,
    merchants.version as merchant_version,
    merchants.mdr_rate,
    merchants.industry,
    merchants.size_category
from {{ ref('stg_transactions') }} as payments
left join {{ ref('dim_merchants') }} as merchants
    on payments.merchant_id = merchants.merchant_id
    and payments.payment_date >= merchants.valid_from
    and (merchants.valid_to is null or payments.payment_date < merchants.valid_to)
