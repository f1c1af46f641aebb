{# Loads what is new into the schema payworld: `files`, and a table for each source, each file once.
   The manifest says which files there are. One that it does not list (yet) is what a run leaves
   that is at work or was killed, and is not read. One that is not what it lists ends the command
   before anything is loaded. #}
{% macro load_landing() %}
    {% if execute %}
        {% do run_query("create schema if not exists payworld") %}
        {% do run_query(landed_files()) %}
        {% for node in graph.sources.values() if node.source_name == 'payworld' %}
            {% do run_query(bronze_table(node)) %}
        {% endfor %}
        {% do check_new_files() %}
        {% for node in graph.sources.values() if node.source_name == 'payworld' %}
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
        resource.hash as hash,
        resource.sums.payment_amount::decimal(38, 2) as amount,
        resource.sums.transactional_cost_amount::decimal(38, 2) as cost,
        resource.sums.mdr_amount::decimal(38, 2) as mdr,
        resource.sums.net_profit::decimal(38, 2) as profit,
        resource.period.end as last_day,
        blob.last_modified as landed_at
    from (
        select unnest(resources) as resource
        from read_json(
            '{{ landing_folder() }}/datapackage.json',
            columns = {resources: 'struct("table" text, path text, rows bigint, hash text,
                sums struct(payment_amount text, transactional_cost_amount text, mdr_amount text, net_profit text),
                period struct("end" date))[]'},
            maximum_object_size = 1000000000
        )
    )
    -- Outer: a file that is gone since it was loaded does not matter. The content is not read here.
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

{# The condition of a file that has rows of which none is loaded. #}
{% macro is_new() -%}
    rows > 0 and file not in (select _file from payworld.merchants union select _file from payworld.transactions)
{%- endmacro %}

{# Ends the command, with their names, if new files are not the published ones. They are read one by
   one, each whole: DuckDB hashes one of up to 4 GB, and that in memory. #}
{% macro check_new_files() %}
    {% set bad = [] %}
    {% for file in run_query("select file, path, hash from payworld.files where " ~ is_new() ~ " order by file") %}
        {% if file.path is none %}
            {% do bad.append(file.file ~ " is gone") %}
        {% elif run_query("select sha256(content) from read_blob('" ~ file.path ~ "')")[0][0] != file.hash[7:] %}
            {% do bad.append(file.file ~ " is not the file that was published") %}
        {% endif %}
    {% endfor %}
    {% if bad %}
        {{ exceptions.raise_compiler_error("nothing is loaded; see gen regenerate: " ~ bad | join("; ")) }}
    {% endif %}
{% endmacro %}

{# The paths of a table's new files for one reader. #}
{% macro new_paths(node, reader) %}
    {% set paths = run_query("
        select path from payworld.files
        where table_name = '" ~ node.name ~ "'
            and contains(file, '.parquet') = " ~ (reader == 'read_parquet') ~ "
            and " ~ is_new() ~ "
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
