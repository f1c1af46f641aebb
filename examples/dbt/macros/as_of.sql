{% macro as_of() -%}
    {% if var('as_of', none) -%}
        date '{{ var('as_of') }}'
    {%- else -%}
        (select max(last_day) from {{ source('landing', 'files') }})
    {%- endif %}
{%- endmacro %}
