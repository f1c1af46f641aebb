{# Loads what is new into the schema payworld: `files`, and a table for each source, each file once.
   The manifest says which files there are. One that it does not list (yet) is what a run leaves
   that is at work or was killed, and is not read. #}
{% macro load_landing() %}
    {% if execute %}
        {% do run_query("create schema if not exists payworld") %}
        {% do run_query(landed_files()) %}
        {% for node in graph.sources.values() if node.source_name == 'payworld' %}
            {% do run_query(bronze_table(node)) %}
            {% for reader in ['read_csv', 'read_parquet'] %}
                {% set paths = new_paths(node, reader) %}
                {% if paths %}{% do run_query(load_files(node, reader, paths)) %}{% endif %}
            {% endfor %}
        {% endfor %}
    {% endif %}
{% endmacro %}

{# Where gen writes by default, seen from here. #}
{% macro landing_folder() -%}
    {{ env_var('PAYWORLD_OUTPUT_DIR', '../../raw_data') }}
{%- endmacro %}

{% macro landed_files() %}
    create or replace table payworld.files as
    select
        resource.table as table_name,
        resource.path as file,
        blob.filename as path,
        resource.rows as rows,
        resource.period.end as last_day,
        blob.last_modified as landed_at
    from (
        select unnest(resources) as resource
        from read_json(
            '{{ landing_folder() }}/datapackage.json',
            columns = {resources: 'struct("table" text, path text, rows bigint, period struct("end" date))[]'},
            maximum_object_size = 1000000000
        )
    )
    -- Outer, so that a file that is lost is missed when it is read. The content is not read here.
    left join read_blob('{{ landing_folder() }}/**') as blob
        on blob.filename = '{{ landing_folder() }}/' || resource.path
{% endmacro %}

{% macro bronze_table(node) %}
    create table if not exists {{ node.relation_name }} (
        {% for column in node.columns.values() %}{{ column.name }} {{ column.data_type }}, {% endfor %}
        _file text,
        _loaded_at timestamptz
    )
{% endmacro %}

{# The paths of a table's files for one reader that no row came from yet. #}
{% macro new_paths(node, reader) %}
    {% set paths = run_query("
        select coalesce(path, '" ~ landing_folder() ~ "/' || file) from payworld.files
        where table_name = '" ~ node.name ~ "'
            and rows > 0
            and contains(file, '.parquet') = " ~ (reader == 'read_parquet') ~ "
            and file not in (select _file from " ~ node.relation_name ~ ")
        order by file
    ") %}
    {{ return(paths.columns[0].values() | list) }}
{% endmacro %}

{% macro load_files(node, reader, paths) %}
    insert into {{ node.relation_name }}
    select
        {% for column in node.columns.values() %}{{ column.name }}, {% endfor %}
        filename[{{ landing_folder() | length + 2 }}:],
        now()
    from {{ reader }}(
        ['{{ paths | join("', '") }}'], filename = true, hive_partitioning = false
        {% if reader == 'read_csv' %}
            , auto_detect = false, header = true, delim = ',', quote = '"', escape = '"', columns = {
                {% for column in node.columns.values() %}
                    {{ column.name }}: '{{ column.data_type }}' {{- ',' if not loop.last }}
                {% endfor %}
            }
        {% endif %}
    )
{% endmacro %}
