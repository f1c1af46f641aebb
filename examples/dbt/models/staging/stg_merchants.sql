-- Every version of every merchant. The date of the last payment is as of the end of the file that
-- the version came in, so it says nothing about the version.
select * exclude (last_transaction_date)
from {{ source('payworld', 'merchants') }}
