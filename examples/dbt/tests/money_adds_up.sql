-- By file, the sums of the raw files are those of the fact table, to the cent.
{% set raw = sums_of(source('payworld', 'transactions')) %}
{% set fact = sums_of(ref('fct_payments')) %}
(({{ raw }}) except ({{ fact }}))
union all
(({{ fact }}) except ({{ raw }}))
union all
({{ fact }} having profit <> mdr - cost)
