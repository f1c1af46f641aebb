select *, payment_timestamp::date as payment_date
from {{ source('payworld', 'transactions') }}
