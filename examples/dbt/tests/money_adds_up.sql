-- By file, the sums of the fact table are those of the manifest, to the cent.
{% set manifest %}
    select file, amount, cost, mdr, profit
    from {{ source('landing', 'files') }}
    where table_name = 'transactions' and rows > 0
{% endset %}
{% set fact %}
    select _file, sum(payment_amount), sum(transactional_cost_amount), sum(mdr_amount), sum(net_profit)
    from {{ ref('fct_payments') }}
    group by all
{% endset %}
(select 'in the manifest' as found, * from ({{ manifest }} except {{ fact }}))
union all
(select 'in the fact table', * from ({{ fact }} except {{ manifest }}))
