-- The discount of an approved payment is that of the version it was joined to, rounded half up.
select payment_id, payment_amount, mdr_rate, mdr_amount
from {{ ref('fct_payments') }}
where mdr_amount <> case payment_status when 'approved' then round(payment_amount * mdr_rate, 2) else 0 end
