{% macro sums_of(relation) %}
    select
        _file,
        sum(payment_amount) as amount,
        sum(transactional_cost_amount) as cost,
        sum(mdr_amount) as mdr,
        sum(net_profit) as profit
    from {{ relation }}
    group by all
{% endmacro %}
