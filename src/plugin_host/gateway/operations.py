"""What one route takes and answers, in the words of OpenAPI.

Made with what Litestar makes its own document of, looking behind its public names: Litestar's document is of a whole
application, in which two operations of one name are an error, and of errors that Litestar would answer, where the
host answers its own. Types are described by `Schemas`, and by Litestar and its plugins where msgspec knows nothing.
"""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from litestar._openapi.datastructures import OpenAPIContext, SchemaRegistry
from litestar._openapi.parameters import ParameterFactory
from litestar._openapi.responses import ResponseFactory
from litestar._openapi.schema_generation import SchemaCreator
from litestar.enums import HttpMethod, RequestEncodingType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Schema
from litestar.params import BodyKwarg
from litestar.response import File, Response, ServerSentEvent, Stream
from litestar.typing import FieldDefinition

from plugin_host.gateway.gate import NEED, Need
from plugin_host.gateway.origin import SAFE_METHODS
from plugin_host.gateway.problems import MEDIA_TYPE
from plugin_host.gateway.schemas import COMPONENTS, Schemas, words
from plugin_host.gateway.walk import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
    from litestar.openapi.spec import Reference
    from litestar.routes import HTTPRoute, WebSocketRoute

LISTING: Final = ("q", "sort", "cursor", "limit", "filters")
"""The parameters of a list, by their names among the shared ones."""
PROBLEM: Final = {MEDIA_TYPE: {"schema": {"$ref": f"{COMPONENTS}Problem"}}}
"""The body of every error."""

_NOT_A_WORD: Final = re.compile(r"[^A-Za-z0-9]+")
_NO_BODY: Final = frozenset({204, 304})
_BYTES: Final = "application/octet-stream"
_BINARY: Final = {"type": "string", "format": "binary", "contentMediaType": _BYTES}
_UNSAID: Final[tuple[Any, ...]] = ("", False, None, [], {})


class Describer:
    """Describes the routes of one plugin. What it gives is finished by `finish`, when all routes were described."""

    def __init__(self, plugin: str, app: Litestar) -> None:
        self._plugin = plugin
        self._context = OpenAPIContext(OpenAPIConfig(title=plugin, version=""), app.plugins.openapi)
        self._schemas = Schemas(f"{plugin}_", self._custom)
        self._creator = _Creator(self._context, self._schemas)

    def operation(self, route: HTTPRoute, handler: HTTPRouteHandler, method: str) -> dict[str, Any]:
        """Describe what a handler does at one method of one path; it is called as its author called it."""
        need: Need = handler.opt[NEED]
        permission = need.permissions[0]
        asked = _asked(handler)
        parameters = self._parameters(handler, route.path_parameters)
        if "listing" in asked:
            own = {each["name"] for each in parameters if each["in"] == "query"}
            parameters += [{"$ref": f"#/components/parameters/{name}"} for name in LISTING if name not in own]
        body = self._body(handler, asked["data"]) if "data" in asked else None
        answers = self._answers(handler)
        takes = body is not None or any(each.get("in") != "path" for each in parameters)
        for status, answer in _errors(permission, method, in_path=bool(route.path_parameters), takes=takes):
            answers.setdefault(status, answer)
        return _said(
            {
                "operationId": _operation_id(route, handler, method),
                "tags": [self._plugin],
                "summary": handler.summary or words(handler.handler_name),
                "description": handler.description or _manual(handler),
                "deprecated": bool(handler.deprecated),
                "parameters": parameters,
                "requestBody": body,
                "responses": dict(sorted(answers.items())),
                "x-permission": permission,
            }
        )

    def socket(self, route: WebSocketRoute) -> dict[str, Any]:
        """Describe a WebSocket, of whose messages nothing is known."""
        handler = route.route_handler
        need: Need = handler.opt[NEED]
        return _said(
            {
                "name": handler.handler_name,
                "description": _manual(handler),
                "permission": need.permissions[0],
                "parameters": self._parameters(handler, route.path_parameters),
            }
        )

    def finish(self, paths: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give paths as plain JSON values, and the schemas that they refer to."""
        others = self._litestars()
        finished: dict[str, Any] = self._schemas.finish(dict(paths))
        return finished, {**self._schemas.components(), **self._schemas.finish(others)}

    def _litestars(self) -> dict[str, Schema]:
        """Name the schemas that Litestar's plugins made, beside ours: of classes that msgspec does not know."""
        made: dict[str, Schema] = {}
        taken = set(self._schemas.names().values())
        for registered in self._context.schema_registry:
            name = f"{self._plugin}_{_NOT_A_WORD.sub('_', registered.key[-1]).strip('_')}"
            if name in taken or name in made:
                name = f"{self._plugin}_{_NOT_A_WORD.sub('_', '_'.join(registered.key)).strip('_')}"
            SchemaRegistry.set_reference_paths(name, registered)
            made[name] = registered.schema
            registered.schema.title = None  # as ours
        return made

    def _custom(self, cls: type) -> Schema | Reference:
        return self._creator.for_field_definition(FieldDefinition.from_annotation(cls))

    def _parameters(self, handler: BaseRouteHandler, in_path: Mapping[str, Any]) -> list[dict[str, Any]]:
        factory = ParameterFactory(self._context, handler, dict(in_path))
        factory.schema_creator = self._creator
        made: list[dict[str, Any]] = []
        for parameter in factory.create_parameters_for_handler():
            said = {**_said(parameter.to_schema()), "schema": parameter.schema}
            definition = in_path.get(parameter.name) if parameter.param_in == "path" else None
            if definition is not None and definition.full.endswith(":path"):
                said = {"description": "May have slashes in it.", **said, "schema": {"type": "string"}}
            made.append(said)
        return made

    def _body(self, handler: HTTPRouteHandler, field: FieldDefinition) -> dict[str, Any]:
        kind: Any = RequestEncodingType.JSON
        if isinstance(field.kwarg_definition, BodyKwarg) and field.kwarg_definition.media_type:
            kind = field.kwarg_definition.media_type
        dto = handler.resolve_data_dto()
        if dto is not None:
            schema: Any = dto.create_openapi_schema(field, handler.handler_id, self._creator)
        else:
            schema = self._creator.for_field_definition(field)
        return {"required": not field.is_optional, "content": {_text(kind): {"schema": schema}}}

    def _answers(self, handler: HTTPRouteHandler) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for error in handler.raises or ():
            status = getattr(error, "status_code", None)  # of Litestar's own; the host words them all
            if isinstance(status, int):
                answers[str(status)] = {"description": _phrase(status), "content": PROBLEM}
        for status, spec in (handler.responses or {}).items():
            answers[str(status)] = {"description": spec.description}
            if spec.data_container is not None:
                schema = self._creator.for_field_definition(FieldDefinition.from_annotation(spec.data_container))
                answers[str(status)]["content"] = {_text(spec.media_type): {"schema": schema}}
        answers[str(handler.status_code)] = self._success(handler)
        return answers

    def _success(self, handler: HTTPRouteHandler) -> dict[str, Any]:
        factory = ResponseFactory(self._context, handler)
        factory.schema_creator = self._creator
        made = factory.create_success_response()
        returned = handler.parsed_fn_signature.return_type
        inner = returned.inner_types[0] if returned.is_subclass_of(Response) and returned.inner_types else returned
        content: dict[str, Any] = {_text(kind): {"schema": each.schema} for kind, each in (made.content or {}).items()}
        if handler.status_code in _NO_BODY or inner.is_none_type:
            content = {}
        elif returned.is_subclass_of(ServerSentEvent):
            content = {"text/event-stream": {"schema": {"type": "string"}}}
        elif inner.annotation is bytes or returned.is_subclass_of((File, Stream)):  # goes out as it is
            kind = _text(handler.media_type)
            content = {_BYTES if not kind or "json" in kind else kind: {"schema": _BINARY}}
        headers = {name: _said(each.to_schema()) for name, each in (made.headers or {}).items()}
        return _said({"description": made.description, "headers": headers, "content": content})


class _Creator(SchemaCreator):
    """Describes what msgspec knows as `Schemas` does, and leaves the rest to Litestar and its plugins."""

    def __init__(self, context: OpenAPIContext, schemas: Schemas) -> None:
        super().__init__(plugins=context.plugins, schema_registry=context.schema_registry)
        self.schemas = schemas

    def for_field_definition(self, field_definition: FieldDefinition) -> Schema | Reference:
        """Describe one parameter, body or answer."""
        schema = self.schemas.of(field_definition.raw)
        if schema is None:
            return super().for_field_definition(field_definition)
        return self.process_schema_result(field_definition, _Described(schema))


class _Described(Schema):
    """A schema that is written already; what Litestar adds to it, such as a parameter's default, comes on top."""

    def __init__(self, written: Mapping[str, Any]) -> None:
        super().__init__()
        self.written = written

    def to_schema(self) -> dict[str, Any]:
        """Give what is written, and what was added."""
        return {**self.written, **super().to_schema()}


def _asked(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """Give all that a handler asks for by name, itself or through its dependencies."""
    providers = handler.resolve_dependencies()
    asked: dict[str, FieldDefinition] = {}
    waiting = [handler.parsed_fn_signature]
    while waiting:
        for name, field in waiting.pop().parameters.items():
            if name not in asked:
                asked[name] = field
                if name in providers:
                    waiting.append(providers[name].parsed_fn_signature)
    return asked


def _operation_id(route: HTTPRoute, handler: HTTPRouteHandler, method: str) -> str:
    said = handler.operation_id
    if callable(said):
        said = said(handler, HttpMethod(method), route.path_components)
    return said or handler.handler_name


def _errors(permission: str, method: str, *, in_path: bool, takes: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name the error answers that the host may give before, or in place of, the handler's."""
    if permission != "public":
        yield "401", _shared("NotSignedIn")
    if permission not in WORDS:
        yield "403", {"description": f"This needs the permission `{permission}`.", "content": PROBLEM}
    elif method not in SAFE_METHODS:
        yield "403", _shared("Forbidden")
    if in_path:
        yield "404", _shared("NotFound")
    if takes:
        yield "422", _shared("Invalid")
    yield "503", _shared("Unavailable")
    yield "default", _shared("Problem")


def _shared(answer: str) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{answer}"}


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what goes without saying."""
    return {key: value for key, value in values.items() if not _is_unsaid(value)}


def _is_unsaid(value: object) -> bool:
    return any(type(value) is type(nothing) and value == nothing for nothing in _UNSAID)


def _manual(handler: BaseRouteHandler) -> str:
    """Give the docstring of the function that the author wrote."""
    fn: Any = handler.fn
    while (inner := getattr(fn, "__wrapped__", None) or getattr(fn, "func", None)) is not None:
        fn = inner  # of one that goes to a thread, or of a partial
    return inspect.cleandoc(fn.__doc__ or "")


def _text(kind: Any) -> str:
    return str(getattr(kind, "value", kind))


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
